//! `keyfob run --proxy`: the program sends its requests through a proxy, and sees no token.

mod files;
mod variables;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use keyfob::proxy::forward::{ForwardProxy, StandIn};
use keyfob::proxy::{Limits, ListenAddress, Listener, Server, Stop};
use keyfob::store::TokenStore;
use keyfob::{Origin, Profile};

use crate::commands::run::child::Child;
use crate::commands::run::environment::Environment;
use crate::commands::run::options::RunOptions;
use crate::commands::run::proxy::files::Files;
use crate::commands::run::proxy::variables::Variables;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::login_command::LoginCommand;
use crate::output::print::{print_notice, print_stderr};

/// Runs the program behind a proxy that ends with it.
pub(super) async fn run(
    environment: &Environment,
    options: &RunOptions,
) -> Result<ExitCode, CliError> {
    hide_memory();
    let profiles = environment.chosen(options)?;
    profiles.iter().try_for_each(refuse_descriptors)?;
    let mut stand_ins = BTreeMap::new();
    let mut builder = ForwardProxy::builder();
    for profile in &profiles {
        warn_without_sign_in(profile, options).await?;
        let prefix = profile.stand_in_prefix().unwrap_or(StandIn::PREFIX);
        let stand_in = StandIn::random(prefix)?;
        for origin in profile.bound_origins(&stand_in)? {
            builder = builder.origin(origin);
        }
        stand_ins.insert(profile.name().to_owned(), stand_in);
    }
    for host in &options.allow_host {
        builder = builder.allow_host(host);
    }
    if options.allow_other_hosts {
        builder = builder.allow_other_hosts();
    }
    if options.require_stand_in {
        builder = builder.require_stand_in();
    }
    let proxy = builder.build()?;
    let listener = Listener::bind(&ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into()))?;
    let files = Files::write(&proxy.authority_pem()).map_err(|error| {
        CliError::failed(
            "the file with the proxy's certificate cannot be written",
            &error,
        )
    })?;
    let bound: Vec<&Origin> = profiles
        .iter()
        .flat_map(|profile| profile.origins())
        .collect();
    let variables = Variables::new(&proxy.url(listener.address()), &files, &bound);
    print_notice(notice(&bound, options));
    let (server, stop) = (Server::new(Limits::default()), Stop::new());
    let stopping = stop.watch();
    tokio::spawn(async move { proxy.serve(&server, listener, stopping).await });
    let mut child = Child::start(&options.command, |command| {
        environment.hide_secrets(command);
        variables.set(command);
        for (variable, profile) in environment.variables() {
            command.env(variable, stand_ins[profile].expose());
        }
    })?;
    let ending = child.ended().await;
    stop.cut();
    Ok(ending)
}

/// Keeps processes of the same user from reading the tokens in keyfob's memory, unless they may read everything, as root may.
fn hide_memory() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};

        // Old sandboxes forbid the call. It is one protection of several.
        _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Refuses a profile whose secret the program could read, because it would inherit the descriptor.
fn refuse_descriptors(profile: &Profile) -> Result<(), CliError> {
    match profile.secret_descriptors().first() {
        None => Ok(()),
        Some(path) => Err(CliError::usage(format!(
            "the profile {} reads a secret from {path}, a descriptor that the program would inherit; with --proxy, give the secret as \
             a file, `command:` or `keyring:`",
            profile.name()
        ))),
    }
}

/// Says at the start that a person has to sign in, and not only when a request fails.
async fn warn_without_sign_in(profile: &Profile, options: &RunOptions) -> Result<(), CliError> {
    if profile.sign_in().is_none() {
        return Ok(());
    }
    let Some((store, key)) = profile.store()? else {
        return Ok(());
    };
    // A store that cannot be read is reported by the first renewal.
    if let Ok(None) = store.load(&key).await {
        let mut config = options.config.arguments();
        config.extend(options.subject.arguments());
        let login = LoginCommand {
            profile: profile.name(),
            config: &config,
            ..LoginCommand::default()
        };
        print_stderr(format!(
            "keyfob: the profile {} needs a sign-in, and until then its requests fail; run `{login}`\n",
            profile.name()
        ));
    }
    Ok(())
}

fn notice(bound: &[&Origin], options: &RunOptions) -> String {
    let bound: Vec<_> = bound.iter().map(|origin| origin.to_string()).collect();
    let others = match (options.allow_other_hosts, options.allow_host.is_empty()) {
        (true, _) => "other hosts on the internet are reached without one".to_owned(),
        (false, false) => format!(
            "{} can be reached without one, and no other host",
            options.allow_host.join(", ")
        ),
        (false, true) => "no other host can be reached (--allow-host HOST)".to_owned(),
    };
    format!(
        "keyfob: the program sees no token; its requests to {} get one, and {others}\n",
        bound.join(", ")
    )
}
