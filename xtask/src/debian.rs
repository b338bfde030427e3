//! Installs Debian's packages, without starting the servers that they bring.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::process::{Outcome, program, read, run};

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

const POLICY: &str = "/usr/sbin/policy-rc.d";
