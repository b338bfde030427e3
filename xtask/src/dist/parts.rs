//! The program, and the files that every package of it has.

use std::path::{Path, PathBuf};

use crate::dist::{Release, copy, empty, licences, write};
use crate::install::CARGO_AUDITABLE;
use crate::process::{Outcome, program, read, root, run, target};
use crate::python;

/// A folder with the layout of a Linux system, as packages install it.
pub(crate) struct Parts {
    pub(crate) root: PathBuf,
}

/// Builds the program for a glibc of 2012, small, and with the list of its crates inside.
pub(crate) fn build_program(release: &Release) -> Result<PathBuf, String> {
    let auditable = CARGO_AUDITABLE.path().ok_or("cargo-auditable is gone")?;
    run(program(auditable)
        .args(["auditable", "zigbuild", "--locked", "--profile=small"])
        .args(["--package=keyfob-cli", "--bin=keyfob"])
        .arg(format!("--target={TARGET}.{GLIBC}"))
        .env("CARGO_ENCODED_RUSTFLAGS", flags()?)
        .env("SOURCE_DATE_EPOCH", &release.time)
        .env("PATH", python::dist_path()))?;
    let built = target().join(TARGET).join("small/keyfob");
    needs_only_old_glibc(&built)?;
    is_at_most(&built, 12)?;
    Ok(built)
}

/// Flags of rustc that keep paths of this machine out of the files: they would also make other bytes elsewhere.
pub(crate) fn flags() -> Result<String, String> {
    let home = std::env::var("CARGO_HOME").or_else(|_| {
        let home = std::env::var("HOME").map_err(|_| "neither CARGO_HOME nor HOME is set")?;
        Ok::<_, String>(format!("{home}/.cargo"))
    })?;
    let flags = [
        format!("--remap-path-prefix={}=/keyfob", root().display()),
        format!("--remap-path-prefix={home}=/cargo"),
    ];
    Ok(flags.join("\u{1f}"))
}

/// Fails if a file is larger than this many MiB.
pub(crate) fn is_at_most(path: &Path, mebibytes: u64) -> Outcome {
    let size = std::fs::metadata(path)
        .map_err(|error| format!("{}: {error}", path.display()))?
        .len();
    match size <= mebibytes << 20 {
        true => Ok(()),
        false => Err(format!(
            "{} has {size} bytes, which is more than {mebibytes} MiB",
            path.display()
        )),
    }
}

/// Fails if the program asks for a function that the oldest supported glibc does not have.
fn needs_only_old_glibc(built: &Path) -> Outcome {
    let symbols = read(program("objdump").arg("-T").arg(built))?;
    let newer = symbols
        .split("GLIBC_2.")
        .skip(1)
        .filter_map(|rest| rest.split(|end: char| !end.is_ascii_digit()).next())
        .filter_map(|minor| minor.parse::<u32>().ok())
        .find(|minor| *minor > GLIBC_MINOR);
    match newer {
        Some(minor) => Err(format!("the program needs glibc 2.{minor}, not {GLIBC}")),
        None => Ok(()),
    }
}

/// Puts the program with its manual, completions, units and licences where packages install them.
pub(crate) fn gather(release: &Release, built: &Path) -> Result<Parts, String> {
    let place = target().join("dist-parts");
    empty(&place)?;
    let parts = Parts { root: place };
    let keyfob = parts.path("usr/bin/keyfob");
    copy(built, &keyfob)?;
    let said = read(program(&keyfob).arg("--version"))?;
    if said.trim() != format!("keyfob {}", release.version) {
        return Err(format!(
            "the program is not version {}: {said}",
            release.version
        ));
    }
    let manual = parts.path("usr/share/man/man1");
    std::fs::create_dir_all(&manual).map_err(|error| error.to_string())?;
    run(program(&keyfob).args(["man", "--directory"]).arg(&manual))?;
    for (shell, path) in COMPLETIONS {
        let script = read(program(&keyfob).args(["completions", shell]))?;
        write(&parts.path(path), script)?;
    }
    for unit in ["keyfob-proxy.service", "keyfob-proxy.socket"] {
        for kind in ["system", "user"] {
            let from = root().join("packaging/systemd").join(kind).join(unit);
            let to = parts.path("usr/lib/systemd").join(kind).join(unit);
            copy(&from, &to)?;
        }
    }
    let documents = parts.path("usr/share/doc/keyfob");
    for file in ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"] {
        copy(&root().join(file), &documents.join(file))?;
    }
    write(&documents.join("copyright"), COPYRIGHT)?;
    licences::collect(&documents.join("THIRD-PARTY-LICENSES"))?;
    Ok(parts)
}

impl Parts {
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }
}

pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Red Hat 7, Debian 8 and Ubuntu 14.04 have this one or a newer one; Rust itself supports no older one.
const GLIBC: &str = "2.17";
const GLIBC_MINOR: u32 = 17;

const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/keyfob"),
    ("zsh", "usr/share/zsh/vendor-completions/_keyfob"),
    ("fish", "usr/share/fish/vendor_completions.d/keyfob.fish"),
];

const COPYRIGHT: &str = "\
keyfob may be used under the MIT licence or the Apache licence 2.0: LICENSE-MIT, LICENSE-APACHE.
THIRD-PARTY-LICENSES has the licences of the libraries that are part of the program.
";
