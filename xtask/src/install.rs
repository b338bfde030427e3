//! Installs what gates need and a fresh machine lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::figures;
use crate::process::{Outcome, cargo, program, read, root, run};
use crate::python;
use crate::servers;

/// Something that a gate cannot run without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    CargoDeny,
    Chromium,
    Nginx,
    Python,
    OidcProvider,
    Glewlwyd,
    Valgrind,
    Redis,
    Keyring,
}

/// Installs each need once; answers those that are still missing, each with the reason.
pub(crate) fn missing_after_installing<'a>(
    needs: impl Iterator<Item = &'a Need>,
) -> BTreeMap<Need, String> {
    let distinct: BTreeSet<Need> = needs.copied().collect();
    distinct
        .into_iter()
        .filter_map(|need| need.install().err().map(|reason| (need, reason)))
        .collect()
}

impl Need {
    fn install(self) -> Outcome {
        match self {
            Self::CargoDeny => install_cargo_deny(),
            Self::Chromium if Path::new("/usr/bin/chromium").exists() => Ok(()),
            Self::Chromium => {
                install_debian_packages(&["chromium"], "/usr/bin/chromium is missing")
            }
            Self::Nginx if Path::new("/usr/sbin/nginx").exists() => Ok(()),
            Self::Nginx => install_debian_packages(&["nginx-light"], "/usr/sbin/nginx is missing"),
            Self::Python => python::prepare(),
            Self::OidcProvider => servers::prepare_oidc_provider(),
            Self::Glewlwyd => servers::prepare_glewlwyd(),
            Self::Valgrind => figures::provide_valgrind(),
            Self::Keyring if KEYRING.iter().all(|path| Path::new(path).exists()) => Ok(()),
            Self::Keyring => install_debian_packages(
                &["dbus-daemon", "gnome-keyring", "libsecret-tools"],
                "gnome-keyring-daemon, dbus-daemon or secret-tool is missing",
            ),
            Self::Redis if Path::new("/usr/bin/redis-server").exists() => Ok(()),
            Self::Redis => {
                install_debian_packages(&["redis-server"], "/usr/bin/redis-server is missing")
            }
        }
    }
}

/// A `cargo-deny` that reads this workspace: the one in `PATH` if it is recent enough, or our own.
pub(crate) fn cargo_deny() -> Option<PathBuf> {
    [PathBuf::from("cargo-deny"), tools().join("bin/cargo-deny")]
        .into_iter()
        .find(|path| {
            read(program(path).arg("--version"))
                .is_ok_and(|text| version(&text) >= Some(CARGO_DENY_LEAST))
        })
}

/// Built from source: the one binary that package registries offer is too old for edition 2024.
/// A debug build takes a third of the time of a release build, and checks this workspace as fast.
fn install_cargo_deny() -> Outcome {
    if cargo_deny().is_some() {
        return Ok(());
    }
    println!("── installing cargo-deny {CARGO_DENY_INSTALLED}");
    let version = format!("--version={CARGO_DENY_INSTALLED}");
    run(cargo([
        "install",
        "cargo-deny",
        "--locked",
        "--debug",
        &version,
        "--root",
    ])
    .arg(tools()))
}

/// Installs the packages that end what is wrong; only root can.
pub(crate) fn install_debian_packages(packages: &[&str], wrong: &str) -> Outcome {
    let named = packages.join(" ");
    if read(program("id").arg("-u"))?.trim() != "0" {
        return Err(format!(
            "{wrong}: run `sudo apt-get install {named}`, then try again"
        ));
    }
    println!("── installing {named}");
    let _policy = KeepServersStopped::new()
        .map_err(|error| format!("{POLICY} could not be written: {error}"))?;
    // The package lists may be absent or old; fetching them takes longer than the package, so try without.
    let install = [&["install"], packages].concat();
    apt_get(&install).or_else(|_| {
        apt_get(&["update"])?;
        apt_get(&install)
    })
}

fn apt_get(arguments: &[&str]) -> Outcome {
    run(program("apt-get")
        .args([
            "--yes",
            "--quiet",
            "--no-install-recommends",
            "--option=DPkg::Lock::Timeout=120",
        ])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}

/// While it lives, Debian packages do not start the servers that they bring. A policy that was there stays.
struct KeepServersStopped {
    written: bool,
}

impl KeepServersStopped {
    fn new() -> std::io::Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { written: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(Self { written: true })
    }
}

impl Drop for KeepServersStopped {
    fn drop(&mut self) {
        if self.written
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!("{POLICY} could not be removed: {error}");
        }
    }
}

/// Where tools go that no machine has by itself: part of the build output, so `cargo clean` removes them.
fn tools() -> PathBuf {
    root().join("target/tools")
}

/// The first two numbers of the last word of `cargo-deny 0.20.2`.
pub(crate) fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text
        .split_whitespace()
        .next_back()?
        .split('.')
        .map_while(|number| number.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

const KEYRING: [&str; 3] = [
    "/usr/bin/dbus-daemon",
    "/usr/bin/gnome-keyring-daemon",
    "/usr/bin/secret-tool",
];
const POLICY: &str = "/usr/sbin/policy-rc.d";
const CARGO_DENY_LEAST: (u32, u32) = (0, 18);
const CARGO_DENY_INSTALLED: &str = "0.20.2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(version("cargo-deny 0.20.2\n") >= Some(CARGO_DENY_LEAST));
        assert!(version("cargo-deny 0.9.10") < Some(CARGO_DENY_LEAST));
    }

    #[test]
    fn a_version_that_is_none_is_too_old() {
        assert!(version("") < Some(CARGO_DENY_LEAST));
        assert!(version("cargo-deny next") < Some(CARGO_DENY_LEAST));
    }
}
