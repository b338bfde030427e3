//! `keyfob logout`: ends a sign-in, at the server and on this machine.

use clap::Args;
use keyfob::store::{StoreErrorKind, StoreLease, TokenStore};
use keyfob::{Profile, Token};

use crate::options::sign_in::SignInProfile;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::login_command::LoginCommand;
use crate::output::print::print_stdout;
use crate::stored_tokens::{LOCK_TIMEOUT, forget_links, store_of};

/// Sign out of a profile: revoke its tokens at the server, and forget them here
///
/// If the server cannot revoke the tokens, they are forgotten here all the same, and the command fails: they may stay valid at the
/// server until they expire.
#[derive(Args)]
pub(crate) struct Logout {
    #[command(flatten)]
    profile: SignInProfile,
}

impl Logout {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        let profile = self.profile.choose()?;
        let (store, key) = store_of(&profile)?;
        // The lock keeps other processes from renewing the token while it is revoked.
        let lease = store.lease(&key, LOCK_TIMEOUT).await;
        let mut lease = lease.map_err(keyfob::Error::from)?;
        let mut config = self.profile.config().arguments();
        config.extend(self.profile.subject.arguments());
        let outcome = sign_out(&profile, &config, &mut *lease).await;
        lease.release().await;
        let links = forget_links(&profile, &*store).await;
        print_stdout(outcome?)?;
        links?;
        Ok(ExitCode::Done)
    }
}

/// Revokes the tokens and forgets them. Returns the message for the person.
async fn sign_out(
    profile: &Profile,
    config: &[String],
    lease: &mut dyn StoreLease,
) -> Result<String, CliError> {
    let name = profile.name();
    let token = match lease.load().await {
        Ok(stored) => Ok(stored.and_then(|stored| stored.entry.token().cloned())),
        // A damaged entry is removed, although its tokens cannot be revoked.
        Err(error) if error.kind() == StoreErrorKind::Damaged => {
            Err(CliError::from(keyfob::Error::from(error)))
        }
        Err(error) => return Err(keyfob::Error::from(error).into()),
    };
    let (revoked, message) = match token {
        Ok(Some(token)) => (
            revoke(profile, &token).await.map_err(CliError::from),
            format!("signed out of {name}\n"),
        ),
        // The entry may hold only the record of a failed renewal.
        Ok(None) => {
            let login = LoginCommand {
                profile: name,
                config,
                ..LoginCommand::default()
            };
            let message = format!("there was no sign-in to {name}; `{login}` signs in\n");
            (Ok(()), message)
        }
        Err(error) => (Err(error), String::new()),
    };
    lease.remove().await.map_err(keyfob::Error::from)?;
    revoked.map_err(|error| not_revoked(name, &error))?;
    Ok(message)
}

/// Revokes the tokens of a sign-in at the server.
pub(crate) async fn revoke(profile: &Profile, token: &Token) -> Result<(), keyfob::Error> {
    if let Some(client) = profile.client().await? {
        client.revoke(token).await?;
    }
    Ok(())
}

fn not_revoked(name: &str, error: &CliError) -> CliError {
    let cause = error.message().unwrap_or_default();
    CliError::new(
        ExitCode::Failed,
        format!(
            "the tokens of {name} are forgotten here, but could not be revoked, and may stay valid at the server until they expire: {cause}"
        ),
    )
}
