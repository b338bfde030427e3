//! `keyfob forget`: tokens that are kept no longer.

use std::time::Duration;

use clap::Args;
use keyfob::Profiles;
use keyfob::store::TokenStore;

use crate::exit::{Exit, table};
use crate::fault::Fault;
use crate::print::print;
use crate::profile_options::ConfigOption;
use crate::stores;

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
    pub(crate) async fn run(self) -> Result<Exit, Fault> {
        let profiles = self.config.profiles()?;
        match &self.name {
            Some(name) => forget(&profiles, name).await?,
            None => forget_all(&profiles).await?,
        }
        Ok(Exit::Done)
    }
}

async fn forget(profiles: &Profiles, name: &str) -> Result<(), Fault> {
    let kept = match profiles.get(name)?.store()? {
        None => false,
        Some((store, key)) => {
            let forgotten = store.forget(&key, PATIENCE).await;
            forgotten.map_err(keyfob::Error::from)?
        }
    };
    print(match kept {
        true => format!("the token of {name} is forgotten\n"),
        false => format!("no token of {name} was kept\n"),
    })
}

async fn forget_all(profiles: &Profiles) -> Result<(), Fault> {
    let mut forgotten = 0_u32;
    for found in stores::entries(profiles).await? {
        let was_there = found.store.forget(&found.entry.key, PATIENCE).await;
        forgotten += u32::from(was_there.map_err(keyfob::Error::from)?);
    }
    print(match forgotten {
        1 => "1 token is forgotten\n".to_owned(),
        many => format!("{many} tokens are forgotten\n"),
    })
}

/// How long a renewal that is under way elsewhere may take to end.
const PATIENCE: Duration = Duration::from_secs(30);
