//! The units for systemd that the repository has: they are valid, and keep the proxy from what it does not need.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::proxy::folder;

#[test]
fn p7_each_service_is_restricted_and_reports_its_state() {
    for kind in ["user", "system"] {
        let unit = read(&path(kind, "service"));
        for line in [
            "Type=notify",
            "ExecReload=/bin/kill -HUP $MAINPID",
            "NoNewPrivileges=yes",
            "MemoryDenyWriteExecute=yes",
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
            "SystemCallFilter=@system-service",
            "LimitCORE=0",
            "UMask=0077",
        ] {
            assert!(unit.lines().any(|other| other == line), "{kind}: {line}");
        }
        // No secret is in an argument, and the program is found where the package puts it.
        let start = unit.lines().find(|line| line.starts_with("ExecStart="));
        let start = start.expect("it starts something");
        assert!(start.starts_with("ExecStart=keyfob proxy"), "{start}");
        assert!(!start.contains("secret"), "{start}");
    }
    let system = read(&path("system", "service"));
    for line in [
        "DynamicUser=yes",
        "ProtectSystem=strict",
        "PrivateTmp=yes",
        "CapabilityBoundingSet=",
        "ProtectHome=yes",
    ] {
        assert!(system.lines().any(|other| other == line), "{line}");
    }
    // The kernel would report every client as the same user.
    assert!(!system.contains("\nPrivateUsers="));
}

#[test]
fn p3_the_socket_of_a_user_is_for_that_user_alone() {
    let unit = read(&path("user", "socket"));
    assert!(
        unit.contains("SocketMode=0600\nDirectoryMode=0700\n"),
        "{unit}"
    );
}

#[test]
fn systemd_accepts_each_unit() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("skipped: there is no systemd-analyze");
        return;
    }
    let folder = folder();
    for kind in ["user", "system"] {
        let mut files = Vec::new();
        for suffix in ["service", "socket"] {
            let program = env!("CARGO_BIN_EXE_keyfob");
            let unit = read(&path(kind, suffix))
                .replace("ExecStart=keyfob", &format!("ExecStart={program}"))
                .replace("Documentation=", "#");
            let file = folder.path().join(format!("keyfob-proxy.{suffix}"));
            fs::write(&file, unit).expect("the folder is ours");
            files.push(file);
        }
        // The manager of this machine judges the units of users too: it reads the same lines.
        let done = Command::new("systemd-analyze")
            .arg("verify")
            .args(&files)
            .output();
        let done = done.expect("it runs");
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        let ours = text.lines().filter(|line| line.contains("keyfob-proxy"));
        let ours: Vec<_> = ours.collect();
        assert!(ours.is_empty(), "{kind}: {text}");
    }
}

fn path(kind: &str, suffix: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd");
    root.join(kind).join(format!("keyfob-proxy.{suffix}"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
