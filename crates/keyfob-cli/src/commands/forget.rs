//! `keyfob forget`: removes stored tokens.

use clap::Args;
use keyfob::store::TokenStore;
use keyfob::{Profile, Profiles};

use crate::options::profile::{NamedProfile, SubjectOption};
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;
use crate::stored_tokens;
use crate::stored_tokens::{Counts, LOCK_TIMEOUT, forget_links};

/// Forget the stored token of a profile, or all stored tokens
///
/// The tokens of the profile's links are forgotten too, unless --subject is given: they are those of all users. The next use of the
/// profile fetches new ones. The server is not informed; keyfob logout does that.
///
/// A program that is running uses its token until that expires. It does not renew a sign-in that was removed from a file or a
/// keyring. It writes any other refresh token back from its memory, and a sign-in in Redis or PostgreSQL too: end the program first.
#[derive(Args)]
pub(crate) struct Forget {
    /// Forget every stored token, also those of profiles that no longer exist
    #[arg(long, conflicts_with_all = ["name", "profile", "subject"])]
    all: bool,
    #[command(flatten)]
    named: NamedProfile,
    #[command(flatten)]
    subject: SubjectOption,
}

/// Whether the tokens of a profile's links are forgotten with its own.
enum Links {
    Forget,
    Keep,
}

impl Forget {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        match self.all {
            true => forget_all(&self.named.config.profiles()?).await,
            false => {
                let links = match self.subject.key()? {
                    Some(_) => Links::Keep,
                    None => Links::Forget,
                };
                forget(&self.subject.of(self.named.profile()?)?, links).await
            }
        }
    }
}

async fn forget(profile: &Profile, links: Links) -> Result<ExitCode, CliError> {
    let name = profile.name();
    let was_stored = match profile.store()? {
        None => false,
        Some((store, key)) => {
            let forgotten = store.forget(&key, LOCK_TIMEOUT).await;
            // Both are done, whatever became of the first.
            let links = match links {
                Links::Forget => forget_links(profile, &*store).await,
                Links::Keep => Ok(false),
            };
            forgotten.map_err(keyfob::Error::from)? | links?
        }
    };
    print_stdout(match was_stored {
        true => format!("the token of {name} is forgotten\n"),
        false => format!("no token of {name} was stored\n"),
    })?;
    Ok(ExitCode::Done)
}

/// Forgets what can be forgotten, and reports what cannot.
async fn forget_all(profiles: &Profiles) -> Result<ExitCode, CliError> {
    let all = stored_tokens::all(profiles).await;
    let mut counts = Counts::default();
    for stored in &all.tokens {
        let forgotten = stored.store.forget(&stored.entry.key, LOCK_TIMEOUT).await;
        counts.add(&stored.entry, forgotten);
    }
    if all.tokens.is_empty() && !all.is_incomplete {
        print_stdout("no token was stored\n")?;
        return Ok(ExitCode::Done);
    }
    counts.report("forgotten")?;
    all.outcome()
}
