//! The OAuth servers that tests run against.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::debian::install_debian_packages;
use crate::process::{Outcome, program, read, root, run, target};
use crate::version::version;

/// Packages of npm, which are installed as a lock file says.
pub(crate) struct Packages {
    /// The folder with the lock file and the scripts.
    folder: &'static str,
    /// Where in the build folder the tests look for them.
    installed_in: &'static str,
}

/// The certified OpenID provider.
pub(crate) const OIDC_PROVIDER: Packages = Packages {
    folder: "crates/keyfob/tests/real_servers/oidc-provider",
    installed_in: "provider",
};

/// The SDK of the Model Context Protocol.
pub(crate) const MCP_SDK: Packages = Packages {
    folder: "crates/keyfob-cli/tests/provider/mcp",
    installed_in: "mcp",
};

impl Packages {
    pub(crate) fn are_installed(&self) -> bool {
        let installed = fs::read_to_string(self.modules().join(INSTALLED));
        let is_wanted = |text| self.lock_file().is_ok_and(|wanted| text == wanted);
        node_and_npm_are_recent() && installed.is_ok_and(is_wanted)
    }

    /// Installs them into the build folder, unless they are there.
    pub(crate) fn install(&self) -> Outcome {
        if self.are_installed() {
            return Ok(());
        }
        provide_node()?;
        let folder = self.modules();
        let wanted = self.lock_file()?;
        println!("── installing {}/{LOCK}", self.folder);
        let cannot_write =
            |error: std::io::Error| format!("{} cannot be written: {error}", folder.display());
        fs::create_dir_all(&folder).map_err(cannot_write)?;
        for name in ["package.json", LOCK] {
            let from = root().join(self.folder).join(name);
            fs::copy(from, folder.join(name)).map_err(cannot_write)?;
        }
        run(program("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(&folder))?;
        fs::write(folder.join(INSTALLED), wanted).map_err(cannot_write)
    }

    fn lock_file(&self) -> Result<String, String> {
        let folder = self.folder;
        fs::read_to_string(root().join(folder).join(LOCK))
            .map_err(|error| format!("{folder}/{LOCK} cannot be read: {error}"))
    }

    fn modules(&self) -> PathBuf {
        target().join(self.installed_in)
    }
}

/// Runs it until it is interrupted, with its demonstration clients and profiles for them.
///
/// What it knows survives a restart, as it does with a real one.
pub(crate) fn run_oidc_provider() -> Outcome {
    println!("{NEEDS}");
    OIDC_PROVIDER.install()?;
    println!("{PROFILES_BEFORE}\n\n{PROFILES}\n{PROFILES_AFTER}");
    run(node_with_the_packages("provider.mjs").arg(target().join("provider/state.json")))
}

/// Runs an API that accepts its tokens, until it is interrupted.
pub(crate) fn run_api() -> Outcome {
    println!("{NEEDS}");
    OIDC_PROVIDER.install()?;
    run(&mut node_with_the_packages("api.mjs"))
}

fn node_with_the_packages(script: &str) -> Command {
    let mut node = program("node");
    node.arg(root().join(OIDC_PROVIDER.folder).join(script))
        .env("KEYFOB_PROVIDER_MODULES", OIDC_PROVIDER.modules());
    node
}

/// Installs the other server and what makes its database.
pub(crate) fn prepare_glewlwyd() -> Outcome {
    // By default, the package wants a database server of its own, and fails without one.
    let selection =
        "echo 'glewlwyd glewlwyd/config_type select No configuration' | debconf-set-selections";
    if read(program("id").arg("-u"))?.trim() == "0" {
        run(program("sh").args(["-c", selection]))?;
    }
    install_debian_packages(&["glewlwyd", "dbconfig-no-thanks", "sqlite3"])
}

fn provide_node() -> Outcome {
    if node_and_npm_are_recent() {
        return Ok(());
    }
    install_debian_packages(&["nodejs", "npm"])?;
    if node_and_npm_are_recent() {
        Ok(())
    } else {
        Err("the first node in PATH is older than 20; install a newer one".to_owned())
    }
}

fn node_and_npm_are_recent() -> bool {
    read(program("node").arg("--version")).is_ok_and(|text| is_recent(&text))
        && read(program("npm").arg("--version")).is_ok()
}

fn is_recent(text: &str) -> bool {
    version(text.trim_start_matches('v')) >= Some(NODE_LEAST)
}

const NEEDS: &str = "\
This needs Node 20 or newer with npm; on Debian, they are installed if they are missing.";
const PROFILES_BEFORE: &str = "\
An OpenID provider and its API: `cargo xtask provider api` starts the API in another terminal.
Put these profiles into a file, and name it in KEYFOB_CONFIG:";
const PROFILES: &str =
    include_str!("../../crates/keyfob/tests/real_servers/oidc-provider/keyfob.toml");
const PROFILES_AFTER: &str = "\
    DEMO_SECRET=demo-secret keyfob request --profile demo /      as a service
    keyfob login anna; keyfob request --profile anna /           as a person, who signs in once

Tokens live for two minutes. Ctrl-C stops the provider; what it knows survives a restart. It listens on";
const LOCK: &str = "package-lock.json";
const INSTALLED: &str = "installed.json";
/// The server, and what makes its database.
pub(crate) const GLEWLWYD: [&str; 3] = [
    "/usr/bin/glewlwyd",
    "/usr/bin/sqlite3",
    "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3",
];
const NODE_LEAST: (u32, u32) = (20, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_node_is_read_with_its_letter() {
        assert!(is_recent("v20.20.2\n"));
        assert!(!is_recent("v18.19.0\n"));
    }
}
