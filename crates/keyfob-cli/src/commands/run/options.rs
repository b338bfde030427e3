//! The options of `keyfob run`.

use std::ffi::OsString;

use clap::Args;

use crate::options::min_valid::MinValid;
use crate::options::profile::{ConfigOption, SubjectOption};

#[derive(Args)]
pub(super) struct RunOptions {
    /// Give the program the token of this profile, in the variables that the profile names with env; may be repeated
    #[arg(long, value_name = "NAME", required_unless_present = "env")]
    pub(super) profile: Vec<String>,
    /// Give the program the token of a profile in this variable; may be repeated
    #[arg(long, value_name = "VARIABLE=PROFILE", value_parser = pair)]
    pub(super) env: Vec<(String, String)>,
    /// Give the program a stand-in in place of the token, and let a proxy put the token on its requests
    ///
    /// The program sees no token, and tokens are renewed while it runs. It gets the proxy in HTTPS_PROXY and HTTP_PROXY, and the
    /// certificates that it has to trust in SSL_CERT_FILE and the variables of other libraries. It reaches the servers of its
    /// profiles, and no other host.
    #[arg(long)]
    pub(super) proxy: bool,
    /// With --proxy: let the program reach this host without a token; may be repeated
    #[arg(long, value_name = "HOST[:PORT]", requires = "proxy")]
    pub(super) allow_host: Vec<String>,
    /// With --proxy: let the program reach all hosts on the internet without a token
    #[arg(long, requires = "proxy")]
    pub(super) allow_other_hosts: bool,
    /// With --proxy: answer a request that has no stand-in with status 401, and do not send it
    #[arg(long, requires = "proxy")]
    pub(super) require_stand_in: bool,
    #[command(flatten)]
    pub(super) min_valid: MinValid,
    #[command(flatten)]
    pub(super) subject: SubjectOption,
    #[command(flatten)]
    pub(super) config: ConfigOption,
    /// The program, and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub(super) command: Vec<OsString>,
}

/// Reads `VARIABLE=PROFILE`.
fn pair(text: &str) -> Result<(String, String), String> {
    let problem = || "give a variable and a profile, such as API_TOKEN=ehr".to_owned();
    let (variable, profile) = text.split_once('=').ok_or_else(problem)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match !variable.is_empty() && variable.chars().all(is_name) && !profile.is_empty() {
        true => Ok((variable.to_owned(), profile.to_owned())),
        false => Err(problem()),
    }
}
