//! A configuration for curl with the URL and the token.

use clap::Args;

use crate::commands::helper::choose::HelperOptions;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;

/// Give a URL with its token to curl
///
/// For example: keyfob helper curl https://api.example.com/reports | curl --config -
///
/// The URL is in the configuration that keyfob prints, and not on curl's command line. So if there is no token, curl has no URL and
/// fails, and nothing is sent without a credential.
#[derive(Args)]
pub(super) struct Curl {
    #[command(flatten)]
    options: HelperOptions,
    /// The URL of the request
    url: String,
}

impl Curl {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let (server, chosen) = self.options.require(&self.url)?;
        let headers = chosen.credential().await?.header_lines()?;
        // Last, so that curl has no URL either if it reads half of the text.
        let lines = headers.lines().map(|line| setting("header", line));
        let lines: String = lines
            .chain(["globoff\n".to_owned(), setting("url", server.url.as_str())])
            .collect();
        print_stdout(lines)?;
        Ok(ExitCode::Done)
    }
}

/// A line of curl's configuration.
fn setting(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{name} = \"{value}\"\n")
}
