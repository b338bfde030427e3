//! `keyfob forget`: tokens that are kept no longer.

use clap::Args;
use keyfob::Profiles;
use keyfob::store::TokenStore;

use crate::options::profile::ConfigOption;
use crate::output::error::CliError;
use crate::output::exit_code::{ExitCode, table};
use crate::output::print::print_stdout;
use crate::stored_tokens;
use crate::stored_tokens::LOCK_TIMEOUT;

/// Forget the token that is kept for a profile, or all of them
///
/// The next use of the profile gets a new one. The server is not told: see keyfob logout for that.
#[derive(Args)]
#[command(after_long_help = table())]
pub(crate) struct Forget {
    /// The profile whose token to forget
    #[arg(required_unless_present = "all")]
    name: Option<String>,
    /// Forget every token that is kept, those of profiles that are gone too
    #[arg(long, conflicts_with = "name")]
    all: bool,
    #[command(flatten)]
    config: ConfigOption,
}

impl Forget {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        let profiles = self.config.profiles()?;
        match &self.name {
            Some(name) => forget(&profiles, name).await?,
            None => forget_all(&profiles).await?,
        }
        Ok(ExitCode::Done)
    }
}

async fn forget(profiles: &Profiles, name: &str) -> Result<(), CliError> {
    let kept = match profiles.get(name)?.store()? {
        None => false,
        Some((store, key)) => {
            let forgotten = store.forget(&key, LOCK_TIMEOUT).await;
            forgotten.map_err(keyfob::Error::from)?
        }
    };
    print_stdout(match kept {
        true => format!("the token of {name} is forgotten\n"),
        false => format!("no token of {name} was kept\n"),
    })
}

async fn forget_all(profiles: &Profiles) -> Result<(), CliError> {
    let mut forgotten = 0_u32;
    for found in stored_tokens::all(profiles).await? {
        let was_there = found.store.forget(&found.entry.key, LOCK_TIMEOUT).await;
        forgotten += u32::from(was_there.map_err(keyfob::Error::from)?);
    }
    print_stdout(match forgotten {
        1 => "1 token is forgotten\n".to_owned(),
        many => format!("{many} tokens are forgotten\n"),
    })
}
