//! `keyfob login`: a person signs in, and the token is stored.

mod by_url;
mod keep;
mod new_client;
mod new_profile;
mod redirect_page;
mod sign_in;
mod terminal_lines;
mod wishes;

use clap::Args;

use crate::commands::login::by_url::{ByUrl, ByUrlOptions};
use crate::commands::login::sign_in::SignInOptions;
use crate::options::sign_in::SignInProfile;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;

/// Sign in to a profile, or to an API by its URL
///
/// With the URL of an API, such as an MCP server, keyfob finds out where you sign in from the API's own metadata (RFC 9728), registers
/// a client there if the server allows it, and adds a profile to keyfob.toml. It shows the server that the API names, and asks whether
/// you trust it.
///
/// A profile says whether you sign in with a browser on this machine or with a code that you type into a browser on any device.
/// The token is stored. Other commands, such as keyfob request, use it and renew it for as long as the server allows. No token
/// is printed.
#[derive(Args)]
pub(crate) struct Login {
    #[command(flatten)]
    profile: SignInProfile,
    #[command(flatten)]
    sign_in: SignInOptions,
    #[command(flatten)]
    by_url: ByUrlOptions,
}

impl Login {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        if let Some(url) = self.profile.url()? {
            self.profile.subject.require_none()?;
            let by_url = ByUrl {
                url: &url,
                name: self.profile.option(),
                config: self.profile.config(),
                options: &self.by_url,
                sign_in: &self.sign_in,
            };
            return by_url.run().await;
        }
        self.by_url.require_none()?;
        let profile = self.profile.choose()?;
        let config = self.profile.config();
        self.sign_in.sign_in(&profile, config).await?;
        Ok(ExitCode::Done)
    }
}
