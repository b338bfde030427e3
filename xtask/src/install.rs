//! Installs what gates need and a fresh machine lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::debian::install_debian_packages;
use crate::process::{Outcome, cargo, program, read, root, run};
use crate::version::version;
use crate::{figures, python, servers};

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

/// Where tools go that no machine has by itself: part of the build output, so `cargo clean` removes them.
fn tools() -> PathBuf {
    root().join("target/tools")
}

const KEYRING: [&str; 3] = [
    "/usr/bin/dbus-daemon",
    "/usr/bin/gnome-keyring-daemon",
    "/usr/bin/secret-tool",
];
const CARGO_DENY_LEAST: (u32, u32) = (0, 18);
const CARGO_DENY_INSTALLED: &str = "0.20.2";
