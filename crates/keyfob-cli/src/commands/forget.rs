//! `keyfob forget`: removes stored tokens.

use clap::Args;
use keyfob::store::TokenStore;
use keyfob::{Profile, Profiles};

use crate::options::profile::NamedProfile;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;
use crate::stored_tokens;
use crate::stored_tokens::{LOCK_TIMEOUT, forget_links};

/// Forget the stored token of a profile, or all stored tokens
///
/// The tokens of the profile's links are forgotten too. The next use of the profile fetches new ones. The server is not informed;
/// keyfob logout does that.
#[derive(Args)]
pub(crate) struct Forget {
    /// Forget every stored token, also those of profiles that no longer exist
    #[arg(long, conflicts_with_all = ["name", "profile"])]
    all: bool,
    #[command(flatten)]
    named: NamedProfile,
}

impl Forget {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        match self.all {
            true => forget_all(&self.named.config.profiles()?).await?,
            false => forget(&self.named.profile()?).await?,
        }
        Ok(ExitCode::Done)
    }
}

async fn forget(profile: &Profile) -> Result<(), CliError> {
    let name = profile.name();
    let was_stored = match profile.store()? {
        None => false,
        Some((store, key)) => {
            let forgotten = store.forget(&key, LOCK_TIMEOUT).await;
            let forgotten = forgotten.map_err(keyfob::Error::from)?;
            // Both are done, whatever the first found.
            forget_links(profile, &*store).await? || forgotten
        }
    };
    print_stdout(match was_stored {
        true => format!("the token of {name} is forgotten\n"),
        false => format!("no token of {name} was stored\n"),
    })
}

async fn forget_all(profiles: &Profiles) -> Result<(), CliError> {
    let mut forgotten = 0_u32;
    for stored in stored_tokens::all(profiles).await? {
        let was_stored = stored.store.forget(&stored.entry.key, LOCK_TIMEOUT).await;
        forgotten += u32::from(was_stored.map_err(keyfob::Error::from)?);
    }
    print_stdout(match forgotten {
        0 => "no token was stored\n".to_owned(),
        1 => "1 token is forgotten\n".to_owned(),
        many => format!("{many} tokens are forgotten\n"),
    })
}
