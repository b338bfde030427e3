//! The command that rclone's WebDAV remotes run for a token: `bearer_token_command`.

use clap::Args;

use crate::commands::helper::choose::HelperOptions;
use crate::commands::helper::repeated::credential_for_parent;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;

/// Give the token for a WebDAV server to rclone
///
/// rclone runs it as `bearer_token_command`, and again after a 401. If the same rclone asks again, the token that it got is taken
/// for rejected and renewed, at most once in a minute.
#[derive(Args)]
pub(super) struct Rclone {
    #[command(flatten)]
    options: HelperOptions,
    /// The URL of the remote
    url: String,
}

impl Rclone {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let (server, chosen) = self.options.require(&self.url)?;
        let credential = credential_for_parent(&chosen, &server).await?;
        print_stdout(format!("{}\n", credential.bearer("rclone")?))?;
        Ok(ExitCode::Done)
    }
}
