//! The protocol of Terraform's credentials helpers, which OpenTofu speaks too.
//!
//! <https://developer.hashicorp.com/terraform/internals/credentials-helpers>

use clap::Args;
use serde_json::json;

use crate::commands::helper::choose::{Chosen, HelperOptions, Server};
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;
use crate::stdin::read_stdin;

/// Give the token for a host to Terraform or OpenTofu
///
/// The link is ~/.terraform.d/plugins/terraform-credentials-keyfob. `forget`, which `terraform logout` runs, renews the token.
#[derive(Args)]
pub(super) struct Terraform {
    #[command(flatten)]
    options: HelperOptions,
    /// What Terraform asks for: get, store or forget
    operation: String,
    /// The host name, as in the addresses of modules and providers
    host: String,
}

impl Terraform {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let chosen = match Server::of_parts("https", &self.host, "") {
            Some(server) => self.options.choose(&server)?,
            None => None,
        };
        match self.operation.as_str() {
            "get" => print_stdout(format!("{}\n", get(chosen).await?))?,
            "store" => return Err(store(chosen).await?),
            "forget" => {
                if let Some(chosen) = chosen {
                    chosen.renewed().await?;
                }
            }
            _ => {
                return Err(CliError::usage(
                    "Terraform asks for `get`, `store` or `forget`; this is another operation",
                ));
            }
        }
        Ok(ExitCode::Done)
    }
}

async fn get(chosen: Option<Chosen>) -> Result<serde_json::Value, CliError> {
    let Some(chosen) = chosen else {
        return Ok(json!({}));
    };
    let credential = chosen.credential().await?;
    Ok(json!({ "token": credential.bearer("Terraform")? }))
}

/// Why nothing is stored.
async fn store(chosen: Option<Chosen>) -> Result<CliError, CliError> {
    // Terraform writes the credential in any case, and would fail to.
    read_stdin("the credential").await?;
    Ok(match chosen {
        Some(chosen) => CliError::usage(format!(
            "nothing was stored: the token for this host comes from the profile {}, so `terraform login` is not needed",
            chosen.profile.name()
        )),
        None => CliError::usage(
            "nothing was stored: no profile is for this host; add one with `keyfob profile add`, or sign in with `keyfob login`",
        ),
    })
}
