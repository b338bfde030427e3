//! The options for what becomes of the response.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::commands::request::write_out::WriteOut;
use crate::output::error::CliError;

/// Where the response goes, and what is said about it.
#[derive(Args)]
#[command(next_help_heading = "Response")]
pub(super) struct OutputOptions {
    /// Write the response body to this file
    ///
    /// The body goes to a temporary file first, which is renamed when it is complete. If a download is cut short, the old file stays
    /// as it was.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Write the response body to a file with the last name in the path of the URL
    #[arg(short = 'O', long, conflicts_with = "output")]
    pub(super) remote_name: bool,
    /// Continue a download that an earlier run with this option began; `-` is its only value
    ///
    /// What has arrived is kept in FILE.part when the connection breaks. The next run asks for the rest, if the server still has the
    /// same version (ETag or Last-Modified), and otherwise for all of it.
    #[arg(short = 'C', long, value_name = "-", value_parser = ["-"], allow_hyphen_values = true, conflicts_with_all = ["data", "data_raw", "data_urlencode", "json", "form", "form_string", "upload_file", "head", "fail_with_body"])]
    pub(super) continue_at: Option<String>,
    /// Also print the status and the headers of the response, to standard output
    #[arg(short, long, alias = "show-headers")]
    pub(super) include: bool,
    /// Write the status and the headers of the response to this file
    #[arg(short = 'D', long, value_name = "FILE")]
    pub(super) dump_header: Option<PathBuf>,
    /// Print this text after the response, with `%{response_code}` and others in it
    ///
    /// Known are %{response_code} (or %{http_code}), %{content_type}, %{size_download}, %{time_total} and %{method}. `\n` is a line
    /// end, `\t` a tab, and `%%` a percent sign.
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) write_out: Option<WriteOut>,
    /// Show no progress bar and no error message
    #[arg(short, long)]
    silent: bool,
    /// With --silent: show error messages nevertheless
    #[arg(short = 'S', long)]
    show_error: bool,
    /// Treat a status of 400 or more as a failure, and do not print the response
    #[arg(short, long)]
    pub(super) fail: bool,
    /// As --fail, and print the response
    #[arg(long, conflicts_with = "fail")]
    pub(super) fail_with_body: bool,
}

impl OutputOptions {
    /// True if a failure is reported by the exit code alone.
    pub(super) fn hides_errors(&self) -> bool {
        self.silent && !self.show_error
    }

    pub(super) fn hides_progress(&self) -> bool {
        self.silent
    }

    /// The file for the body, if it is not standard output.
    pub(super) fn file(&self, remote_name: Option<&str>) -> Result<Option<PathBuf>, CliError> {
        let named = remote_name.map(|name| Path::new(".").join(name));
        let file = named.or_else(|| self.output.clone());
        let is_file = file.as_ref().is_some_and(|file| file != "-");
        if self.continue_at.is_some() && !is_file {
            return Err(CliError::usage(
                "--continue-at needs a file to continue; name it with --output or --remote-name",
            ));
        }
        Ok(file)
    }
}
