//! The protocol of Cargo's credential providers, version 1.
//!
//! <https://doc.rust-lang.org/cargo/reference/credential-provider-protocol.html>

use clap::{Args, Parser};
use keyfob::exchange::Challenges;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, stdin};

use crate::commands::helper::choose::{Chosen, HelperOptions, Server};
use crate::credential::Credential;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;

/// Give the token for a registry to Cargo
///
/// The link is cargo-credential-keyfob, and Cargo's configuration names it: credential-provider = ["cargo-credential-keyfob"]. Further
/// words there are options, such as "--profile", "work". `cargo logout` renews the token.
#[derive(Args)]
pub(super) struct Cargo {
    #[command(flatten)]
    options: HelperOptions,
    /// What Cargo adds to the command
    #[arg(long, required = true)]
    cargo_plugin: bool,
}

/// The words after the name of the program in Cargo's configuration.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Words {
    #[command(flatten)]
    options: HelperOptions,
}

impl Cargo {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        print_line(&json!({ "v": [1] }))?;
        let mut input = BufReader::new(stdin());
        while let Some(line) = read_line(&mut input).await? {
            let answer = match self.answer(&line).await {
                Ok(answer) => json!({ "Ok": answer }),
                Err(failure) => json!({ "Err": failure.to_json() }),
            };
            print_line(&answer)?;
        }
        Ok(ExitCode::Done)
    }

    async fn answer(&self, line: &str) -> Result<Value, Failure> {
        let request: Value = serde_json::from_str(line).unwrap_or_default();
        if request["v"] != 1 {
            return Err(Failure::other(
                "the request is not one of version 1 of Cargo's protocol",
            ));
        }
        let kind = request["kind"].as_str().unwrap_or_default();
        if !["get", "login", "logout"].contains(&kind) {
            return Err(Failure::OperationNotSupported);
        }
        let chosen = self.choose(&request)?.ok_or(Failure::UrlNotSupported)?;
        match kind {
            "get" => {
                let credential = match rejects_the_token(&request) {
                    true => chosen.renewed().await?,
                    false => chosen.credential().await?,
                };
                token(&credential)
            }
            "login" if !request["token"].is_null() => Err(Failure::other(format!(
                "nothing was stored: the token comes from the keyfob profile {}, so run `cargo login` without one",
                chosen.profile.name()
            ))),
            "login" => {
                chosen.credential().await?;
                Ok(json!({ "kind": "login" }))
            }
            _ => {
                chosen.renewed().await?;
                Ok(json!({ "kind": "logout" }))
            }
        }
    }

    fn choose(&self, request: &Value) -> Result<Option<Chosen>, Failure> {
        let index = request["registry"]["index-url"].as_str();
        let index = index.map(|index| index.split_once('+').map_or(index, |(_, url)| url));
        let Some(server) = index.and_then(Server::of_url) else {
            return Ok(None);
        };
        let words = request["args"].as_array().into_iter().flatten();
        let words: Vec<_> = words.filter_map(Value::as_str).collect();
        let words = match words.is_empty() {
            true => None,
            false => Some(Words::try_parse_from(words).map_err(|_| {
                Failure::other("the words after `cargo-credential-keyfob` in Cargo's configuration are not options of keyfob")
            })?),
        };
        let options = words.as_ref().map_or(&self.options, |words| &words.options);
        Ok(options.choose(&server)?)
    }
}

/// Whether the response that Cargo got says that its token is not valid.
fn rejects_the_token(request: &Value) -> bool {
    let headers = request["registry"]["headers"].as_array();
    let headers = headers.into_iter().flatten().filter_map(Value::as_str);
    let mut fields = headers.filter_map(|header| header.split_once(':'));
    fields.any(|(name, value)| {
        name.eq_ignore_ascii_case("www-authenticate") && Challenges::parse(value).invalid_token()
    })
}

/// The token, which is the complete value of `Authorization`.
fn token(credential: &Credential) -> Result<Value, Failure> {
    let token = credential.authorization().ok_or_else(|| {
        Failure::other(
            "Cargo can send only `Authorization`, and this credential is in another header",
        )
    })?;
    let mut answer = json!({ "kind": "get", "token": token, "operation_independent": true });
    match credential.expiry_in_unix_time() {
        Some(time) => {
            answer["cache"] = json!("expires");
            answer["expiration"] = json!(time);
        }
        None => answer["cache"] = json!("session"),
    }
    Ok(answer)
}

/// A failure, as Cargo reads it.
enum Failure {
    UrlNotSupported,
    OperationNotSupported,
    Other(CliError),
}

impl Failure {
    fn other(message: impl Into<String>) -> Self {
        Self::Other(CliError::usage(message))
    }

    fn to_json(&self) -> Value {
        match self {
            Self::UrlNotSupported => json!({ "kind": "url-not-supported" }),
            Self::OperationNotSupported => json!({ "kind": "operation-not-supported" }),
            // Not `not-found`, after which Cargo would go on without this registry's token.
            Self::Other(error) => json!({
                "kind": "other",
                "message": error.message().unwrap_or("keyfob was ended"),
                "caused-by": [],
            }),
        }
    }
}

impl From<CliError> for Failure {
    fn from(error: CliError) -> Self {
        Self::Other(error)
    }
}

fn print_line(value: &Value) -> Result<(), CliError> {
    print_stdout(format!("{value}\n"))
}

/// The next line; `None` at the end of standard input.
async fn read_line(input: &mut (impl AsyncBufReadExt + Unpin)) -> Result<Option<String>, CliError> {
    let mut line = Vec::new();
    let mut input = input.take(MAX_LINE_BYTES);
    let read = input.read_until(b'\n', &mut line).await;
    let failed = |error| CliError::failed("the request cannot be read from standard input", &error);
    read.map_err(failed)?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(String::from_utf8_lossy(&line).into_owned())),
        Some(_) if line.len() as u64 == MAX_LINE_BYTES => Err(CliError::usage(
            "the request on standard input is longer than 1 MiB",
        )),
        Some(_) => Ok(Some(String::from_utf8_lossy(&line).into_owned())),
    }
}

const MAX_LINE_BYTES: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_challenge_that_says_invalid_token_is_a_rejection() {
        let request = |header: &str| json!({ "registry": { "headers": [header] } });
        assert!(rejects_the_token(&request(
            "WWW-Authenticate: Bearer error=\"invalid_token\""
        )));
        for other in [
            "www-authenticate: Bearer realm=\"invalid_token\"",
            "x: error=\"invalid_token\"",
            "",
        ] {
            assert!(!rejects_the_token(&request(other)), "{other}");
        }
    }
}
