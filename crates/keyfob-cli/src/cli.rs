//! The list of subcommands, and the help of the program as a whole.

use std::{env, process};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::CompleteEnv;
use tracing_subscriber::filter::LevelFilter;

use crate::commands::completions::{Completions, with_profile_names};
use crate::commands::demo::Demo;
use crate::commands::forget::Forget;
use crate::commands::helper::{Helper, arguments_of_link};
use crate::commands::login::Login;
use crate::commands::logout::Logout;
use crate::commands::man::Man;
use crate::commands::profile::ProfileCommand;
use crate::commands::proxy::ProxyCommand;
use crate::commands::request::Request;
use crate::commands::request::curl_options::hint;
use crate::commands::run::Run;
use crate::commands::status::Status;
use crate::commands::store::StoreCommand;
use crate::commands::token::PrintToken;
use crate::output::colours::exit_with;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::help::with_sections;
use crate::output::log;
use crate::output::print::{omit_notices, print_stderr};

/// HTTP requests that stay authenticated.
///
/// keyfob gets a token from a command, an environment variable, a file or a profile in keyfob.toml. It renews the token before it
/// expires, sends it only to the servers it is for, retries what is safe to retry, and prints the token only when asked to.
#[derive(Parser)]
#[command(name = "keyfob", version)]
pub(crate) struct Cli {
    /// Show on standard error what keyfob does, such as renewals and retries, without secrets
    ///
    /// Warnings are always shown. With `keyfob request`, given once it shows the heads of request and response, and given twice also the
    /// rest.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Print no notices on standard error: neither hints, nor progress, nor what was done
    ///
    /// Warnings and errors are still printed, and so is what you have to read or answer during a sign-in.
    #[arg(short, long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Request(Box<Request>),
    Token(PrintToken),
    Helper(Helper),
    Profile(ProfileCommand),
    Login(Login),
    Logout(Logout),
    Status(Status),
    Forget(Forget),
    Store(Box<StoreCommand>),
    Run(Run),
    Proxy(Box<ProxyCommand>),
    Demo(Demo),
    Completions(Completions),
    Man(Man),
}

impl Cli {
    /// Reads the arguments of the program. Ends it if they cannot be used.
    pub(crate) fn read() -> Self {
        // Ends the program if a shell asks what could follow.
        CompleteEnv::with_factory(command_line)
            .var(Completions::VARIABLE)
            .complete();
        let mut arguments: Vec<_> = env::args_os().collect();
        let linked = arguments.first().and_then(|name| arguments_of_link(name));
        if let Some(linked) = linked {
            arguments.splice(1..1, linked);
        }
        let is_request = arguments.iter().skip(1).any(|word| word == "request");
        let cli = Self::try_parse_from(&arguments).or_else(|error| match error.kind() {
            // The sections are put together only for a person who asks for help, and not at each start.
            ErrorKind::DisplayHelp => {
                let matches = command_line().try_get_matches_from(&arguments)?;
                Self::from_arg_matches(&matches)
            }
            _ => Err(error),
        });
        cli.unwrap_or_else(|error| {
            if is_request && let Some(hint) = hint_for(&error) {
                print_stderr(format!("keyfob: {hint}\n"));
                process::exit(2);
            }
            exit_with(&without_values(error))
        })
    }

    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        log::show(self.log_level(), self.is_service());
        if self.quiet {
            omit_notices();
        }
        match self.command {
            Command::Request(request) => request.run(self.verbose).await,
            Command::Token(token) => token.run().await,
            Command::Helper(helper) => helper.run().await,
            Command::Profile(profile) => profile.run().await,
            Command::Login(login) => login.run().await,
            Command::Logout(logout) => logout.run().await,
            Command::Status(status) => status.run().await,
            Command::Forget(forget) => forget.run().await,
            Command::Store(store) => store.run().await,
            Command::Run(run) => run.run().await,
            Command::Proxy(proxy) => proxy.run().await,
            Command::Demo(demo) => demo.run().await,
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(Self::command()),
        }
    }

    fn log_level(&self) -> LevelFilter {
        let heads_first = u8::from(matches!(self.command, Command::Request(_)));
        match self.verbose {
            0 if self.is_silent() => LevelFilter::OFF,
            verbose if verbose > heads_first => LevelFilter::DEBUG,
            _ => LevelFilter::WARN,
        }
    }

    /// True if the command decides itself what a signal means: it passes signals on, or ends in its own time.
    pub(crate) fn handles_signals(&self) -> bool {
        matches!(self.command, Command::Run(_) | Command::Proxy(_))
    }

    /// True if the command goes on after a failure.
    pub(crate) fn is_service(&self) -> bool {
        matches!(self.command, Command::Proxy(_))
    }

    /// True if a failure is reported by the exit code alone.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(&self.command, Command::Request(request) if request.hides_errors())
    }
}

/// What to do in place of the option of curl that is not known here.
fn hint_for(error: &clap::Error) -> Option<String> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) if error.kind() == ErrorKind::UnknownArgument => {
            hint(argument)
        }
        _ => None,
    }
}

/// The commands with their help.
pub(crate) fn command_line() -> clap::Command {
    with_profile_names(with_sections(Cli::command(), ""))
}

/// The error without the argument that it would quote, if that may be a secret.
fn without_values(mut error: clap::Error) -> clap::Error {
    let kind = match error.kind() {
        ErrorKind::ValueValidation | ErrorKind::InvalidValue | ErrorKind::TooManyValues => {
            ContextKind::InvalidValue
        }
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => return error,
    };
    // Where only a few words are possible, a wrong one is shown if it could be one of them.
    let any_text = !matches!(
        error.kind(),
        ErrorKind::InvalidValue | ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand
    );
    let may_be_secret = |text: &str| any_text || !is_a_name(text);
    if matches!(error.get(kind), Some(ContextValue::String(text)) if may_be_secret(text)) {
        error.insert(kind, ContextValue::String("[hidden]".to_owned()));
        // They repeat the text, or show what is like it.
        for suggestion in SUGGESTIONS {
            error.remove(suggestion);
        }
    }
    error
}

/// True for what could be the name of an option or a command.
fn is_a_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_lowercase() || c == '-') && text.len() <= LONGEST_NAME
}

const LONGEST_NAME: usize = 20;

const SUGGESTIONS: [ContextKind; 6] = [
    ContextKind::Suggested,
    ContextKind::SuggestedArg,
    ContextKind::SuggestedCommand,
    ContextKind::SuggestedSubcommand,
    ContextKind::SuggestedValue,
    ContextKind::TrailingArg,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use keyfob::oauth::AuthorizationCode;
    use keyfob::{CommandToken, RetryPolicy, Session};

    use super::*;

    #[test]
    fn the_commands_and_options_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_states_the_defaults_of_the_library() {
        let (last, others) = RetryPolicy::STATUSES
            .split_last()
            .expect("some are retried");
        let others: Vec<_> = others.iter().map(|status| status.as_str()).collect();
        let timeout = Session::TIMEOUT.as_secs();
        for (command, fact) in [
            (
                "request",
                format!("or a {} or {}.", others.join(", "), last.as_str()),
            ),
            (
                "request",
                format!("[default: none, but {timeout} seconds without progress]"),
            ),
            (
                "request",
                format!("setting, or {}]", RetryPolicy::ATTEMPTS - 1),
            ),
            ("request", format!("setting, or {}]", Session::REDIRECTS)),
            (
                "token",
                format!("[default: {}]", CommandToken::TIMEOUT.as_secs()),
            ),
            (
                "login",
                format!("[default: {}]", AuthorizationCode::TIMEOUT.as_secs()),
            ),
        ] {
            let help = help_of(command);
            assert!(help.contains(&fact), "{fact:?} is not in: {help}");
        }
    }

    #[test]
    fn one_option_has_one_name_and_one_kind_of_value_in_all_commands() {
        let mut kinds = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (command, argument) in arguments() {
            let Some(long) = argument.get_long() else {
                continue;
            };
            // With `request` it is curl's: the data of the body.
            if command.ends_with("request") && long == "json" {
                continue;
            }
            let takes_value = argument.get_action().takes_values();
            let value = takes_value.then(|| format!("{:?}", argument.get_value_names()));
            let kind = kinds
                .entry(long.to_owned())
                .or_insert_with(|| value.clone());
            assert_eq!(*kind, value, "{command} --{long}");
            let help = argument.get_help().map(ToString::to_string);
            let name = names.entry(help).or_insert_with(|| long.to_owned());
            assert_eq!(name, long, "{command}: two options have the same help");
        }
        assert!(kinds.len() > 40, "{kinds:?}");
    }

    #[test]
    fn a_profile_is_named_by_name_or_by_profile_in_every_command() {
        let all = arguments();
        for (command, argument) in &all {
            let is_profile = argument.is_positional() && argument.get_id() == "name";
            // There it is the name of a new profile.
            if !is_profile || command.ends_with("profile add") {
                continue;
            }
            let has_option = |(other, argument): &(String, clap::Arg)| {
                other == command && argument.get_long() == Some("profile")
            };
            assert!(all.iter().any(has_option), "{command}");
        }
        for command in [
            "token",
            "login",
            "logout",
            "forget",
            "helper setup git",
            "profile check",
            "store check",
            "store rotate-key",
            "store export",
            "store import",
        ] {
            let words = || ["keyfob"].into_iter().chain(command.split(' '));
            let more = match command.ends_with("port") {
                true => &["--file=f", "--sealing-key=k"][..],
                false => &[],
            };
            for name in [&["a"][..], &["--profile", "a"]] {
                let line = words()
                    .chain(more.iter().copied())
                    .chain(name.iter().copied());
                assert!(Cli::try_parse_from(line).is_ok(), "{command} {name:?}");
            }
        }
    }

    /// The arguments of all commands, each with the name of its command.
    fn arguments() -> Vec<(String, clap::Arg)> {
        fn add(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Arg)>) {
            let path = format!("{path} {}", command.get_name());
            found.extend(
                command
                    .get_arguments()
                    .map(|argument| (path.clone(), argument.clone())),
            );
            for below in command.get_subcommands() {
                add(below, &path, found);
            }
        }
        let mut root = Cli::command();
        root.build();
        let mut found = Vec::new();
        add(&root, "", &mut found);
        found
    }

    /// The long help of a command, on one line.
    fn help_of(name: &str) -> String {
        let mut root = Cli::command();
        let command = root.find_subcommand_mut(name).expect("the command exists");
        let help = command.render_long_help().to_string();
        help.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
