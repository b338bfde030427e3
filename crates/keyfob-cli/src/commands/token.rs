//! `keyfob token`: prints a valid token, in the format that another program reads.

mod format;

use clap::Args;
use keyfob::Token;

use crate::commands::token::format::Format;
use crate::options::min_valid::MinValid;
use crate::options::token::{TokenChoice, TokenOptions};
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;
use crate::renewal::{other_than, renewed, show_stored};
use crate::stdin::read_stdin;

/// Print a valid token
///
/// With --format, keyfob can be the credential helper of another program.
#[derive(Args)]
pub(crate) struct PrintToken {
    /// The profile, as --profile NAME
    #[arg(group = "token_source")]
    name: Option<String>,
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
        let choice = self.token.choose(self.name.as_deref())?;
        let tokens = choice.tokens()?;
        let lease = match rejected {
            _ if self.renew => {
                if let TokenChoice::Profile(profile) = &choice {
                    show_stored(profile, &tokens).await?;
                }
                renewed(&tokens).await?
            }
            Some(rejected) => {
                other_than(&tokens, |lease| lease.token().expose() == rejected.expose()).await?
            }
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

/// Reads the rejected token.
async fn read_rejected() -> Result<Token, CliError> {
    let text = read_stdin("the rejected token").await?;
    Token::new(text.trim()).map_err(|_| {
        CliError::usage("standard input holds no token; write the rejected token to it, as `keyfob token` printed it")
    })
}
