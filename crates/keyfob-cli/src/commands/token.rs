//! `keyfob token`: prints a valid token, in the format that another program reads.

mod format;

use clap::Args;
use http::HeaderName;
use http::header::AUTHORIZATION;
use keyfob::Token;
use keyfob::source::token_from_text;
use serde_json::json;

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
        let stored = match &choice {
            TokenChoice::Profile(profile) if !self.renew => self.min_valid.stored(profile).await?,
            _ => None,
        };
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
            .valid_enough(lease, &tokens, stored.as_ref())
            .await?;
        let text = self.format.text(&lease)?;
        print_stdout(format!("{text}\n"))?;
        Ok(ExitCode::Done)
    }
}

/// Reads the rejected token.
async fn read_rejected() -> Result<Token, CliError> {
    let text = read_stdin("the rejected token").await?;
    rejected_token(&text).map_err(|_| {
        CliError::usage("standard input holds no token; write the rejected token to it, as `keyfob token` printed it")
    })
}

/// The token of a text in any [`Format`], or as another program printed it.
fn rejected_token(text: &str) -> Result<Token, keyfob::Error> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let fields = || text.lines().map_while(header_field);
    match fields().find(|(name, _)| name == AUTHORIZATION) {
        Some((name, value)) => {
            let helper_output = json!({"headers": {name.as_str(): [value]}});
            token_from_text(helper_output.to_string().as_bytes())
        }
        // The first field is the credential, as in the output of a credential helper.
        None => {
            let value = fields().next().map(|(_, value)| value);
            token_from_text(value.unwrap_or(text).as_bytes())
        }
    }
}

/// The field in a header line. A token may have a colon, but no space.
fn header_field(line: &str) -> Option<(HeaderName, &str)> {
    let (name, value) = line.split_once(':')?;
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let is_field = value.starts_with(' ') || name == AUTHORIZATION;
    is_field.then(|| (name, value.trim()))
}
