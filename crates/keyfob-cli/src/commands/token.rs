//! `keyfob token`: prints a valid token, in the format that another program reads.

mod format;

use std::io::{Read, stdin};
use std::time::{Duration, SystemTime};

use clap::Args;
use keyfob::cache::Lease;
use keyfob::exchange::Challenges;
use keyfob::store::TokenStore;
use keyfob::{Error, Profile, Token, TokenCache};

use crate::commands::token::format::Format;
use crate::options::token::{TokenChoice, TokenOptions, seconds};
use crate::output::error::CliError;
use crate::output::exit_code::{ExitCode, table};
use crate::output::print::print_stdout;

/// Print a valid token
///
/// With --format, keyfob can be the credential helper of another program.
#[derive(Args)]
#[command(after_long_help = table())]
pub(crate) struct PrintToken {
    /// The format
    #[arg(long, value_enum, default_value_t = Format::Plain)]
    format: Format,
    /// Get a new token, although the current one has not expired
    ///
    /// For a token that was revoked, or that lacks new rights. The new token is stored for all other programs too. If another
    /// program renews the token at the same time, its token is printed.
    #[arg(long, conflicts_with = "rejected")]
    renew: bool,
    /// Read a token that a server has rejected from standard input, and print another one
    ///
    /// The token is renewed only if it is still the current one. Otherwise the current one is printed.
    #[arg(long, value_name = "-")]
    rejected: Option<String>,
    /// Print only a token that stays valid for this long
    ///
    /// If less is left, the token is renewed. If the new one is shorter too, the command fails. A token whose expiry is not known is
    /// printed.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    min_valid: Option<Duration>,
    #[command(flatten)]
    token: TokenOptions,
}

impl PrintToken {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        self.format.check()?;
        let rejected = match self.rejected.as_deref() {
            Some("-") => Some(read_rejected().await?),
            // A token in an argument is visible to every user of the machine, and an error that quotes it goes into logs.
            Some(_) => {
                return Err(CliError::usage(
                    "--rejected takes `-` alone; write the rejected token to standard input",
                ));
            }
            None => None,
        };
        let choice = self.token.choose()?;
        let tokens = choice.tokens()?;
        let lease = match rejected {
            _ if self.renew => {
                show_stored(&choice, &tokens).await?;
                renewed(&tokens).await?
            }
            Some(rejected) => other_than(&rejected, &tokens).await?,
            None => tokens.lease(None).await?,
        };
        let lease = self.valid_enough(lease, &tokens).await?;
        let text = self.format.text(&lease)?;
        print_stdout(format!("{text}\n"))?;
        Ok(ExitCode::Done)
    }

    /// The token, or a new one if it is not valid for long enough.
    async fn valid_enough(&self, lease: Lease, tokens: &TokenCache) -> Result<Lease, CliError> {
        let Some(wanted) = self.min_valid else {
            return Ok(lease);
        };
        if time_left(&lease).is_none_or(|left| left >= wanted) {
            return Ok(lease);
        }
        let lease = match self.renew {
            true => lease,
            false => renewed(tokens).await?,
        };
        match time_left(&lease) {
            Some(left) if left < wanted => Err(CliError::new(
                ExitCode::NoToken,
                format!(
                    "a new token is valid for only {} s; give a shorter --min-valid, or make the server issue tokens that last longer",
                    left.as_secs()
                ),
            )),
            _ => Ok(lease),
        }
    }
}

/// A new token, or the one with which another program replaces the current one at the same time (T1).
async fn renewed(tokens: &TokenCache) -> Result<Lease, CliError> {
    tokens.renew().await?;
    let expired =
        || Error::unavailable("the new token has expired already; check the clock of this machine");
    Ok(tokens.current().ok_or_else(expired)?)
}

/// Another token than the rejected one (T8).
async fn other_than(rejected: &Token, tokens: &TokenCache) -> Result<Lease, CliError> {
    let lease = tokens.lease(None).await?;
    if lease.token().expose() != rejected.expose() {
        return Ok(lease);
    }
    Ok(tokens.replace(&lease, &Challenges::default(), None).await?)
}

/// Shows the cache the token that is stored, so that a token which another program stores from now on counts as its renewal.
async fn show_stored(choice: &TokenChoice, tokens: &TokenCache) -> Result<(), CliError> {
    let TokenChoice::Profile(profile) = choice else {
        return Ok(());
    };
    if let Some(token) = stored_token(profile).await? {
        // Fails for a token that has expired. Then there is nothing to compare with.
        let _ = tokens.set_token(token);
    }
    Ok(())
}

/// The token in the profile's store. None if the store cannot be read, which the renewal reports.
async fn stored_token(profile: &Profile) -> Result<Option<Token>, CliError> {
    let Some((store, key)) = profile.store()? else {
        return Ok(None);
    };
    let stored = store.load(&key).await.ok().flatten();
    Ok(stored.and_then(|stored| stored.entry.token().cloned()))
}

fn time_left(lease: &Lease) -> Option<Duration> {
    let end = lease.expires_at()?;
    Some(end.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Reads the rejected token on a thread for blocking work, because standard input may be a pipe.
async fn read_rejected() -> Result<Token, CliError> {
    let read = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        let read = stdin().take(MAX_TOKEN_BYTES).read_to_string(&mut text);
        read.map(|_| text)
    });
    let unreadable = "the rejected token cannot be read from standard input";
    let text = read
        .await
        .map_err(|error| CliError::failed(unreadable, &error))?
        .map_err(|error| CliError::failed(unreadable, &error))?;
    Token::new(text.trim()).map_err(|_| {
        CliError::usage("standard input holds no token; write the rejected token to it, as `keyfob token` printed it")
    })
}

/// A longer text is no token.
const MAX_TOKEN_BYTES: u64 = 1024 * 1024;
