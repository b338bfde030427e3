//! The OAuth servers that tests run against.

use std::fs;
use std::path::{Path, PathBuf};

use crate::debian::install_debian_packages;
use crate::process::{Outcome, program, read, root, run, target};
use crate::version::version;

/// Installs the certified provider beside what cargo builds, as its lock file says, unless it is there.
pub(crate) fn prepare_oidc_provider() -> Outcome {
    provide_node()?;
    let folder = modules();
    let installed = folder.join("installed.json");
    let wanted = fs::read_to_string(root().join(PROVIDER).join(LOCK))
        .map_err(|error| format!("{PROVIDER}/{LOCK} cannot be read: {error}"))?;
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("── installing {PROVIDER}/{LOCK}");
    let told = |error: std::io::Error| format!("{} cannot be written: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(told)?;
    for name in ["package.json", LOCK] {
        fs::copy(root().join(PROVIDER).join(name), folder.join(name)).map_err(told)?;
    }
    run(program("npm")
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(&folder))?;
    fs::write(&installed, wanted).map_err(told)
}

/// Runs it until it is interrupted, with its demonstration clients.
pub(crate) fn run_oidc_provider() -> Outcome {
    run_beside_the_packages("provider.mjs")
}

/// Runs an API that takes its tokens, until it is interrupted.
pub(crate) fn run_api() -> Outcome {
    run_beside_the_packages("api.mjs")
}

fn run_beside_the_packages(script: &str) -> Outcome {
    prepare_oidc_provider()?;
    run(program("node")
        .arg(root().join(PROVIDER).join(script))
        .env("KEYFOB_PROVIDER_MODULES", modules()))
}

/// Installs the other server and what makes its database, unless they are there.
pub(crate) fn prepare_glewlwyd() -> Outcome {
    if GLEWLWYD.iter().all(|path| Path::new(path).exists()) {
        return Ok(());
    }
    // Asked nothing, the package wants a database server of its own, and fails without one.
    let answer =
        "echo 'glewlwyd glewlwyd/config_type select No configuration' | debconf-set-selections";
    if read(program("id").arg("-u"))?.trim() == "0" {
        run(program("sh").args(["-c", answer]))?;
    }
    install_debian_packages(
        &["glewlwyd", "dbconfig-no-thanks", "sqlite3"],
        "glewlwyd or sqlite3 is missing",
    )
}

fn provide_node() -> Outcome {
    let recent = || read(program("node").arg("--version")).is_ok_and(|text| is_recent(&text));
    let npm = || read(program("npm").arg("--version")).is_ok();
    if recent() && npm() {
        return Ok(());
    }
    install_debian_packages(
        &["nodejs", "npm"],
        "there is no node of 20 or later, or no npm",
    )?;
    if recent() && npm() {
        Ok(())
    } else {
        Err("the first node in PATH is older than 20; install a newer one".to_owned())
    }
}

fn is_recent(text: &str) -> bool {
    version(text.trim_start_matches('v')) >= Some(NODE_LEAST)
}

/// Where the tests look for the packages.
fn modules() -> PathBuf {
    target().join("provider")
}

const PROVIDER: &str = "crates/keyfob/tests/oauth/provider";
const LOCK: &str = "package-lock.json";
const GLEWLWYD: [&str; 3] = [
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
