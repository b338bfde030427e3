//! Installs Debian packages, without starting the servers in them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::process::{Outcome, program, read, run};

/// Installs the packages. Only root can.
pub(crate) fn install_debian_packages(packages: &[&str]) -> Outcome {
    let named = packages.join(" ");
    if read(program("id").arg("-u"))?.trim() != "0" {
        return Err(format!(
            "{named} cannot be installed without root: run `sudo apt-get install {named}`, then try again"
        ));
    }
    println!("── installing {named}");
    let _policy = KeepServersStopped::new()
        .map_err(|error| format!("{POLICY} could not be written: {error}"))?;
    // The package lists may be missing or old. Fetching them takes longer than the package, so try without first.
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

/// While this value lives, Debian packages do not start their servers. A policy that was there before stays.
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
