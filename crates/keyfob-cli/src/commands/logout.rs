//! `keyfob logout`: ends a sign-in, at the server and on this machine.

use clap::Args;
use keyfob::store::{StoreErrorKind, StoreLease, TokenStore};
use keyfob::{ErrorKind, Profile, Token};

use crate::options::sign_in::SignInProfile;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::login_command::LoginCommand;
use crate::output::print::print_stdout;
use crate::stored_tokens::{LOCK_TIMEOUT, forget_links, store_of};

/// Sign out of a profile: revoke its tokens at the server, and forget them here
///
/// If the server cannot be reached or refuses, the tokens are forgotten here all the same, and the command fails: they may stay valid
/// at the server until they expire. If keyfob does not know where the server revokes tokens, nothing is forgotten; keyfob forget
/// removes tokens without revoking them.
///
/// A program that is running does not renew a sign-in that was removed from a file or a keyring. With a store in Redis or PostgreSQL it
/// writes the refresh token back from its memory, and sends it although it is revoked: end the program first.
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
        let revoked = outcome?;
        let links = forget_links(&profile, &*store).await;
        print_stdout(revoked?)?;
        links?;
        Ok(ExitCode::Done)
    }
}

/// Revokes the tokens and forgets them. Returns the message for the person, or why not all are revoked. If it fails, nothing is
/// forgotten.
async fn sign_out(
    profile: &Profile,
    config: &[String],
    lease: &mut dyn StoreLease,
) -> Result<Result<String, CliError>, CliError> {
    let name = profile.name();
    let outcome = match lease.load().await {
        Ok(stored) => match stored.as_ref().and_then(|stored| stored.entry.token()) {
            Some(token) => match revoke(profile, token).await {
                Ok(()) => Ok(format!("signed out of {name}\n")),
                // Nothing was sent, because of something that a person can correct.
                Err(error) if matches!(error.kind(), ErrorKind::Input | ErrorKind::Origin) => {
                    return Err(not_forgotten(name, config, error.into()));
                }
                Err(error) => Err(not_revoked(name, error)),
            },
            // The entry may hold only the record of a failed renewal.
            None => {
                let login = LoginCommand {
                    profile: name,
                    config,
                    ..LoginCommand::default()
                };
                Ok(format!(
                    "there was no sign-in to {name}; `{login}` signs in\n"
                ))
            }
        },
        // A damaged entry is removed, although its tokens cannot be revoked.
        Err(fault) if fault.kind() == StoreErrorKind::Damaged => {
            Err(not_revoked(name, fault.into()))
        }
        Err(fault) => return Err(keyfob::Error::from(fault).into()),
    };
    lease.remove().await.map_err(keyfob::Error::from)?;
    Ok(outcome)
}

/// Revokes the tokens of a sign-in at the server.
pub(crate) async fn revoke(profile: &Profile, token: &Token) -> Result<(), keyfob::Error> {
    if let Some(client) = profile.client().await? {
        client.revoke(token).await?;
    }
    Ok(())
}

fn not_revoked(name: &str, error: keyfob::Error) -> CliError {
    let error = CliError::from(error);
    let cause = error.message().unwrap_or_default();
    CliError::new(
        ExitCode::Failed,
        format!("the tokens of {name} are forgotten here, but not all are revoked: {cause}"),
    )
}

fn not_forgotten(name: &str, config: &[String], error: CliError) -> CliError {
    let cause = error.message().unwrap_or_default();
    let command = ["keyfob", "forget", name].into_iter();
    let forget = shell_words::join(command.chain(config.iter().map(String::as_str)));
    CliError::new(
        error.exit(),
        format!(
            "the tokens of {name} are neither revoked nor forgotten: {cause}; `{forget}` removes them without revoking them"
        ),
    )
}
