//! The container image: the program, the libraries of the system that it needs, and certificate authorities. Nothing else.

use std::fs;
use std::path::Path;

use crate::dist::parts::{Parts, is_at_most};
use crate::dist::{Artefact, Release, copy, empty, write};
use crate::process::{Outcome, program, read, run, target};

/// Makes an image of the Open Container Initiative in a file. It runs as the user 65534, `nobody`.
pub(crate) fn make(release: &Release, parts: &Parts) -> Result<Artefact, String> {
    let place = target().join("dist-image");
    empty(&place)?;
    let files = place.join("files");
    fill(&files, parts)?;
    // A layer has the times of its files.
    let time = format!("--date=@{}", release.time);
    run(program("find").arg(&files).args([
        "-exec",
        "touch",
        "--no-dereference",
        &time,
        "{}",
        "+",
    ]))?;
    let layout = place.join("layout");
    let image = format!("{}:{}", layout.display(), release.version);
    let created = read(
        program("date")
            .args(["--utc", "--iso-8601=seconds"])
            .arg(format!("--date=@{}", release.time)),
    )?;
    let created = created.trim();
    run(program("umoci").arg("init").arg("--layout").arg(&layout))?;
    run(program("umoci").args(["new", "--image", &image]))?;
    for entry in ["etc", "lib", "lib64", "tmp", "usr"] {
        run(program("umoci")
            .args(["insert", "--rootless", "--image", &image])
            .args(["--history.created", created])
            .arg(files.join(entry))
            .arg(format!("/{entry}")))?;
    }
    run(program("umoci")
        .args(["config", "--image", &image, "--created", created])
        .args(["--history.created", created])
        .args(["--os", "linux", "--architecture", "amd64"])
        .args([
            "--config.user",
            "65534:65534",
            "--config.workingdir",
            "/tmp",
        ])
        .args(["--config.env", "HOME=/tmp", "--config.env", "PATH=/usr/bin"])
        .args(["--config.entrypoint", "/usr/bin/keyfob"])
        .args([
            "--config.label",
            &format!("org.opencontainers.image.version={}", release.version),
        ])
        .args([
            "--config.label",
            "org.opencontainers.image.licenses=MIT OR Apache-2.0",
        ]))?;
    run(program("umoci").arg("gc").arg("--layout").arg(&layout))?;
    let path = release.path(format!("keyfob-{}-image.oci.tar", release.version));
    let time = format!("--mtime=@{}", release.time);
    run(program("tar")
        .args([
            "--create",
            "--sort=name",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
        ])
        .args([&time, "--file"])
        .arg(&path)
        .arg("--directory")
        .arg(&layout)
        .args(["blobs", "index.json", "oci-layout"]))?;
    is_at_most(&path, 15)?;
    starts(&files)?;
    Ok(Artefact {
        path,
        tried: "its files ran in a chroot as nobody",
    })
}

/// Puts the files of the image into a folder.
fn fill(files: &Path, parts: &Parts) -> Outcome {
    let keyfob = parts.path("usr/bin/keyfob");
    copy(&keyfob, &files.join("usr/bin/keyfob"))?;
    for library in read(program("ldd").arg(&keyfob))?
        .lines()
        .filter_map(library)
    {
        copy(
            Path::new(library),
            &files.join(library.trim_start_matches('/')),
        )?;
    }
    let documents = "usr/share/doc/keyfob";
    for document in [
        "copyright",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "THIRD-PARTY-LICENSES",
    ] {
        copy(
            &parts.path(documents).join(document),
            &files.join(documents).join(document),
        )?;
    }
    copy(
        Path::new("/usr/share/doc/libc6/copyright"),
        &files.join("usr/share/doc/libc6/copyright"),
    )?;
    copy(
        Path::new("/etc/ssl/certs/ca-certificates.crt"),
        &files.join("etc/ssl/certs/ca-certificates.crt"),
    )?;
    write(
        &files.join("etc/passwd"),
        "root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/tmp:/sbin/nologin\n",
    )?;
    write(&files.join("etc/group"), "root:x:0:\nnobody:x:65534:\n")?;
    write(&files.join("etc/nsswitch.conf"), "hosts: files dns\n")?;
    let temporary = files.join("tmp");
    fs::create_dir_all(&temporary).map_err(|error| error.to_string())?;
    run(program("chmod").arg("1777").arg(&temporary))
}

/// The file in a line of ldd, `libc.so.6 => /lib/libc.so.6 (0x7f)` or `/lib64/ld.so (0x7f)`.
fn library(line: &str) -> Option<&str> {
    let path = line.split("=>").last()?.split(" (").next()?.trim();
    path.starts_with('/').then_some(path)
}

/// The program finds all that it needs in the image, and its user can do what it has to.
fn starts(files: &Path) -> Outcome {
    run(program("chroot")
        .args(["--userspec=65534:65534"])
        .arg(files)
        .args(["/usr/bin/keyfob", "--version"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_are_read_from_ldd() {
        assert_eq!(library("\tlinux-vdso.so.1 (0x00007ff0fb56c000)"), None);
        let line = "\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f)";
        assert_eq!(library(line), Some("/lib/x86_64-linux-gnu/libm.so.6"));
        let line = "\t/lib64/ld-linux-x86-64.so.2 (0x00007f)";
        assert_eq!(library(line), Some("/lib64/ld-linux-x86-64.so.2"));
    }
}
