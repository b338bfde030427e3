//! `keyfob logout`: a sign-in ends, at the server and on this machine.

use clap::Args;
use keyfob::store::{StoreErrorKind, StoreLease, TokenStore};
use keyfob::{Profile, Token};

use crate::options::sign_in::SignInProfile;
use crate::output::error::CliError;
use crate::output::exit_code::{ExitCode, table};
use crate::output::print::print_stdout;
use crate::stored_tokens::{LOCK_TIMEOUT, store_of};

/// Sign out of a profile: its tokens are revoked at the server, and forgotten here
///
/// If the server cannot be told, they are forgotten here all the same, and the command fails: they may be good there until
/// they end.
#[derive(Args)]
#[command(after_long_help = table())]
pub(crate) struct Logout {
    #[command(flatten)]
    which: SignInProfile,
}

impl Logout {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        let profile = self.which.choose()?;
        let (store, key) = store_of(&profile)?;
        // Nobody may renew meanwhile what is being revoked.
        let lease = store.lease(&key, LOCK_TIMEOUT).await;
        let mut lease = lease.map_err(keyfob::Error::from)?;
        let ended = end(&profile, &mut *lease).await;
        lease.release().await;
        print_stdout(ended?)?;
        Ok(ExitCode::Done)
    }
}

/// Revokes and forgets; answers what to say.
async fn end(profile: &Profile, lease: &mut dyn StoreLease) -> Result<String, CliError> {
    let name = profile.name();
    let token = match lease.load().await {
        Ok(kept) => Ok(kept.and_then(|kept| kept.entry.token().cloned())),
        Err(fault) if fault.kind() == StoreErrorKind::Damaged => {
            Err(CliError::from(keyfob::Error::from(fault)))
        }
        Err(fault) => return Err(keyfob::Error::from(fault).into()),
    };
    let (told, said) = match token {
        Ok(Some(token)) => (
            revoke(profile, &token).await,
            format!("signed out of {name}\n"),
        ),
        // What there is may be the note of a failure.
        Ok(None) => (Ok(()), format!("nobody was signed in to {name}\n")),
        Err(fault) => (Err(fault), String::new()),
    };
    lease.remove().await.map_err(keyfob::Error::from)?;
    told.map_err(|fault| not_told(name, &fault))?;
    Ok(said)
}

async fn revoke(profile: &Profile, token: &Token) -> Result<(), CliError> {
    if let Some(client) = profile.client().await? {
        client.revoke(token).await?;
    }
    Ok(())
}

fn not_told(name: &str, fault: &CliError) -> CliError {
    let why = fault.message().unwrap_or_default();
    CliError::new(
        ExitCode::Failed,
        format!(
            "the tokens of {name} are forgotten here, but could not be revoked, and may be good at the server until they end: {why}"
        ),
    )
}
