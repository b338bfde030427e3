//! `keyfob token`: prints a valid token, in the format that another program reads.

mod format;

use std::io::{Read, stdin};

use clap::Args;
use keyfob::cache::Lease;
use keyfob::exchange::Challenges;
use keyfob::store::TokenStore;
use keyfob::{Profile, Token, TokenCache};

use crate::commands::token::format::Format;
use crate::options::min_valid::{MinValid, renewed};
use crate::options::token::{TokenChoice, TokenOptions};
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
    #[command(flatten)]
    min_valid: MinValid,
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
        let lease = self
            .min_valid
            .valid_enough(lease, &tokens, self.renew)
            .await?;
        let text = self.format.text(&lease)?;
        print_stdout(format!("{text}\n"))?;
        Ok(ExitCode::Done)
    }
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
