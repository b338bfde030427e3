//! `keyfob helper`: speaks the protocols in which other programs ask for credentials.
//!
//! Which profile is used follows from the server that the program names. A server that no profile is for gets nothing.

mod bazel;
mod cargo;
mod choose;
mod curl;
mod docker;
mod git;
mod kubectl;
mod rclone;
mod repeated;
mod setup;
mod terraform;
mod username;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{Args, Subcommand};

use crate::commands::helper::bazel::Bazel;
use crate::commands::helper::cargo::Cargo;
use crate::commands::helper::curl::Curl;
use crate::commands::helper::docker::Docker;
use crate::commands::helper::git::Git;
use crate::commands::helper::kubectl::Kubectl;
use crate::commands::helper::rclone::Rclone;
use crate::commands::helper::setup::Setup;
use crate::commands::helper::terraform::Terraform;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;

/// Give credentials to git, docker, terraform, bazel, cargo, kubectl, rclone or curl
///
/// Each of these programs runs keyfob when it needs a credential, and names the server. keyfob gives the token of the profile that the
/// server belongs to, and nothing for any other server. A token that was rejected is renewed.
///
/// A link to keyfob is such a helper too. Its name says which: git-credential-keyfob, docker-credential-keyfob,
/// terraform-credentials-keyfob, cargo-credential-keyfob, bazel-credential-keyfob, kubectl-credential-keyfob. A name that goes on,
/// such as docker-credential-keyfob-work, names the only profile that may be used.
///
/// For example: keyfob helper setup git --profile work --write
#[derive(Args)]
pub(crate) struct Helper {
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand)]
enum Program {
    Git(Git),
    Docker(Docker),
    Terraform(Terraform),
    Bazel(Bazel),
    Cargo(Cargo),
    Kubectl(Kubectl),
    Rclone(Rclone),
    Curl(Curl),
    Setup(Setup),
}

impl Helper {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        match self.program {
            Program::Git(git) => git.run().await,
            Program::Docker(docker) => docker.run().await,
            Program::Terraform(terraform) => terraform.run().await,
            Program::Bazel(bazel) => bazel.run().await,
            Program::Cargo(cargo) => cargo.run().await,
            Program::Kubectl(kubectl) => kubectl.run().await,
            Program::Rclone(rclone) => rclone.run().await,
            Program::Curl(curl) => curl.run().await,
            Program::Setup(setup) => setup.run().await,
        }
    }
}

/// The arguments that a run under the name of a link means; `None` for any other name.
pub(crate) fn arguments_of_link(program: &OsStr) -> Option<Vec<OsString>> {
    let name = Path::new(program).file_name()?.to_str()?;
    let name = name.strip_suffix(".exe").unwrap_or(name);
    let (host, rest) = LINKS
        .iter()
        .find_map(|(prefix, host)| Some((*host, name.strip_prefix(prefix)?)))?;
    let mut arguments = vec!["helper".into(), host.into()];
    match rest.strip_prefix('-') {
        Some(profile) if !profile.is_empty() => {
            arguments.push(format!("--profile={profile}").into());
        }
        _ if rest.is_empty() => {}
        _ => return None,
    }
    Some(arguments)
}

/// How the names of links begin, and the host program of each.
const LINKS: [(&str, &str); 6] = [
    ("git-credential-keyfob", "git"),
    ("docker-credential-keyfob", "docker"),
    ("terraform-credentials-keyfob", "terraform"),
    ("cargo-credential-keyfob", "cargo"),
    ("bazel-credential-keyfob", "bazel"),
    ("kubectl-credential-keyfob", "kubectl"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(program: &str) -> Option<String> {
        let arguments = arguments_of_link(OsStr::new(program))?;
        Some(arguments.join(OsStr::new(" ")).into_string().unwrap())
    }

    #[test]
    fn the_name_of_a_link_says_which_helper_it_is_and_may_name_the_profile() {
        for (program, arguments) in [
            ("/usr/bin/git-credential-keyfob", "helper git"),
            ("docker-credential-keyfob.exe", "helper docker"),
            (
                "terraform-credentials-keyfob-a.b",
                "helper terraform --profile=a.b",
            ),
        ] {
            assert_eq!(of(program).as_deref(), Some(arguments));
        }
        for other in [
            "keyfob",
            "git-credential-keyfobs",
            "docker-credential-keyfob-",
            "x/",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
