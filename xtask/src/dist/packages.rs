//! The archive, and the packages of Debian and of Red Hat's family.

use std::fs;

use crate::dist::parts::{Parts, TARGET};
use crate::dist::{Artefact, Release, copy, empty, write};
use crate::process::{program, root, run, target};

/// An archive to unpack anywhere: the program, and next to it what belongs to it.
pub(crate) fn tarball(release: &Release, parts: &Parts) -> Result<Artefact, String> {
    // The name and the layout that `cargo binstall` is told in keyfob-cli/Cargo.toml.
    let name = format!("keyfob-{}-{TARGET}", release.version);
    let place = target().join("dist-tarball");
    empty(&place)?;
    let top = place.join(&name);
    copy(&parts.path("usr/bin/keyfob"), &top.join("keyfob"))?;
    for (from, to) in [
        ("usr/share/man/man1", "man/man1"),
        ("usr/share/bash-completion/completions", "completions/bash"),
        ("usr/share/zsh/vendor-completions", "completions/zsh"),
        ("usr/share/fish/vendor_completions.d", "completions/fish"),
        ("usr/lib/systemd/system", "systemd/system"),
        ("usr/lib/systemd/user", "systemd/user"),
        ("usr/share/doc/keyfob", "."),
    ] {
        let from = parts.path(from);
        let files = fs::read_dir(&from).map_err(|error| format!("{}: {error}", from.display()))?;
        for file in files.filter_map(Result::ok) {
            copy(&file.path(), &top.join(to).join(file.file_name()))?;
        }
    }
    let path = release.path(format!("{name}.tar.gz"));
    release.pack(&top, &path)?;
    Ok(Artefact {
        path,
        tried: "the program printed its version, manual and completions",
    })
}

/// A package for Debian, Ubuntu and what comes from them.
pub(crate) fn deb(release: &Release, parts: &Parts) -> Result<Artefact, String> {
    let place = target().join("dist-deb");
    empty(&place)?;
    run(program("cp")
        .args(["--archive"])
        .arg(parts.path("."))
        .arg(&place))?;
    run(program("sh")
        .arg("-c")
        .arg(
            // Debian's pages are compressed, and without the time in the header.
            "find \"$0\"/usr/share/man -type f -exec gzip -9n {} +",
        )
        .arg(&place))?;
    let template = read_template("packaging/deb/control")?;
    let control = template.replace("@VERSION@", &release.version);
    write(&place.join("DEBIAN/control"), control)?;
    let path = release.path(format!("keyfob_{}_amd64.deb", release.version));
    run(program("dpkg-deb")
        .args(["--root-owner-group", "-Zxz", "--build"])
        .arg(&place)
        .arg(&path)
        .env("SOURCE_DATE_EPOCH", &release.time))?;
    run(program("dpkg-deb").arg("--info").arg(&path))?;
    Ok(Artefact {
        path,
        tried: "read by dpkg; installed by `cargo xtask test dist`",
    })
}

/// A package for Fedora, Red Hat, SUSE and what comes from them.
pub(crate) fn rpm(release: &Release, parts: &Parts) -> Result<Artefact, String> {
    let place = target().join("dist-rpm");
    empty(&place)?;
    let template = read_template("packaging/rpm/keyfob.spec")?;
    let spec = place.join("keyfob.spec");
    write(&spec, template.replace("@VERSION@", &release.version))?;
    run(program("rpmbuild")
        .args(["-bb", "--quiet", "--target=x86_64"])
        .arg(format!("--define=_topdir {}", place.display()))
        .arg(format!("--define=parts {}", parts.root.display()))
        .args([
            "--define=_buildhost keyfob",
            "--define=use_source_date_epoch_as_buildtime 1",
        ])
        .args(["--define=clamp_mtime_to_source_date_epoch 1"])
        .arg(&spec)
        .env("SOURCE_DATE_EPOCH", &release.time))?;
    let name = format!("keyfob-{}-1.x86_64.rpm", release.version);
    let path = release.path(&name);
    copy(&place.join("RPMS/x86_64").join(&name), &path)?;
    run(program("rpm")
        .args(["--query", "--package", "--list"])
        .arg(&path))?;
    Ok(Artefact {
        path,
        tried: "read by rpm; installed by `cargo xtask test dist`",
    })
}

fn read_template(path: &str) -> Result<String, String> {
    fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))
}
