//! `keyfob login`: a person signs in, and the token is stored.

mod redirect_page;
mod sign_in;
mod terminal_lines;

use clap::Args;

use crate::commands::login::sign_in::SignInOptions;
use crate::options::sign_in::SignInProfile;
use crate::output::error::CliError;
use crate::output::exit_code::{ExitCode, table};

/// Sign in to a profile
///
/// The profile says whether you sign in with a browser on this machine or with a code that you type into a browser on any device.
/// The token is stored. Other commands, such as keyfob request, use it and renew it for as long as the server allows. No token
/// is printed.
#[derive(Args)]
#[command(after_long_help = table())]
pub(crate) struct Login {
    #[command(flatten)]
    profile: SignInProfile,
    #[command(flatten)]
    sign_in: SignInOptions,
}

impl Login {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        let profile = self.profile.choose()?;
        self.sign_in.sign_in(&profile).await?;
        Ok(ExitCode::Done)
    }
}
