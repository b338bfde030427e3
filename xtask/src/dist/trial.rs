//! Installs the artefacts of `cargo xtask dist` in bare Debian systems, as a user would: without Rust, a compiler or a cache.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;
use std::{env, fs};

use crate::dist::{copy, empty, write};
use crate::process::{Outcome, program, read, root, run, target};
use crate::{dist, python};

/// Tries what is in `target/dist`, or makes it first.
pub(crate) fn install_everywhere() -> Outcome {
    if !target().join("dist/SHA256SUMS").exists() {
        dist::make()?;
    }
    try_image()?;
    let offline = packages_of_the_wheel()?;
    for version in PYTHONS {
        try_wheel(version, &offline)?;
    }
    for suite in SUITES {
        let system = System::new(suite)?;
        system.put_in(&offline)?;
        for (name, commands) in TRIALS {
            let start = Instant::now();
            system.run(commands)?;
            let took = start.elapsed().as_secs_f64();
            println!("   {suite}: {name}: {took:.1} s");
            // README promises less than half a minute, without the download.
            if took > 30.0 {
                return Err(format!("{name} took {took:.0} s on {suite}"));
            }
        }
        try_rpm(&system)?;
        println!("   {suite}: the package of Red Hat's family, with Debian's rpm");
    }
    Ok(())
}

/// Installs the package of Red Hat's family, compares its files with what it says of them, runs the demo, and removes it.
///
/// The system has no other package in the database of rpm, so its requirements are compared with what those systems have.
fn try_rpm(system: &System) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let package = target().join(format!("dist/keyfob-{version}-1.x86_64.rpm"));
    let needs = read(
        program("rpm")
            .args(["--query", "--package", "--requires"])
            .arg(&package),
    )?;
    let is_known = |need: &&str| KNOWN_TO_RPM.iter().any(|known| need.starts_with(known));
    if let Some(unknown) = needs.lines().find(|need| !is_known(need)) {
        return Err(format!("the package for rpm needs `{unknown}`"));
    }
    let rpm = |arguments: &[&str]| {
        let mut command = program("rpm");
        command.arg("--root").arg(&system.folder);
        command.args(["--define=_dbpath /var/lib/rpm", "--nodeps"]);
        command.args(arguments);
        command
    };
    run(rpm(&["--install"]).arg(&package))?;
    run(&mut rpm(&["--verify", "keyfob"]))?;
    system.run(
        "test \"$(keyfob --version)\" = \"keyfob $VERSION\"
        test -e /usr/share/man/man1/keyfob-request.1.gz
        test -e /usr/share/zsh/site-functions/_keyfob
        keyfob demo",
    )?;
    run(&mut rpm(&["--erase", "keyfob"]))?;
    system.run("! test -e /usr/bin/keyfob || exit 1; ! test -e /usr/share/doc/keyfob")
}

/// How the requirements begin that each system has whose rpm is of 2013 or newer. A payload in zstd would add one.
const KNOWN_TO_RPM: &[&str] = &[
    "ca-certificates",
    "glibc >= 2.17",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "rpmlib(CompressedFileNames)",
    "rpmlib(FileDigests)",
    "rpmlib(PayloadFilesHavePrefix)",
    "rtld(GNU_HASH)",
];

/// Each trial, and its commands in the new system. The artefacts are in `/artefacts`.
const TRIALS: &[(&str, &str)] = &[
    (
        "the package for Debian",
        "dpkg --install /artefacts/keyfob_*.deb
        test \"$(keyfob --version)\" = \"keyfob $VERSION\"
        test -e /usr/share/man/man1/keyfob-request.1.gz
        keyfob demo
        dpkg --remove keyfob
        ! test -e /usr/bin/keyfob",
    ),
    (
        "the archive",
        "mkdir /opt/keyfob
        tar --extract --file /artefacts/keyfob-*-linux-gnu.tar.gz --directory /opt/keyfob --strip-components=1
        PATH=/opt/keyfob:$PATH
        SSL_CERT_FILE=/nonexistent SSL_CERT_DIR=/nonexistent keyfob demo
        keyfob completions bash | cmp - /opt/keyfob/completions/bash/keyfob",
    ),
    (
        "the wheel",
        "python3 -m venv /opt/python
        /opt/python/bin/pip install --quiet --no-index --find-links=/artefacts/offline /artefacts/keyfob-*.whl
        ! command -v cargo || exit 1
        ! command -v cc || exit 1
        /opt/python/bin/python /artefacts/try_example.py /artefacts/README.md",
    ),
];

/// A bare Debian system in a folder.
struct System {
    folder: PathBuf,
}

impl System {
    fn new(suite: &str) -> Result<Self, String> {
        let folder = target().join("dist-trial").join(suite);
        empty(&folder)?;
        run(program("mmdebstrap")
            .args([
                "--quiet",
                "--variant=apt",
                "--include=ca-certificates,python3,python3-venv",
            ])
            // A mirror may be a copy of some earlier day.
            .args(["--aptopt=Acquire::Check-Valid-Until \"false\"", suite])
            .arg(&folder)
            .arg(mirror()?))?;
        Ok(Self { folder })
    }

    /// Puts the artefacts, and what the trials need beside them, into the system.
    fn put_in(&self, offline: &Path) -> Outcome {
        let place = self.folder.join("artefacts");
        copy_folder(&target().join("dist"), &place)?;
        copy_folder(offline, &place.join("offline"))?;
        copy(&root().join("README.md"), &place.join("README.md"))?;
        write(&place.join("try_example.py"), EXAMPLE)
    }

    /// Runs commands in the system; each of them has to succeed.
    fn run(&self, commands: &str) -> Outcome {
        run(program("chroot")
            .arg(&self.folder)
            .args(["/bin/sh", "-euc", commands])
            .env_clear()
            .env("HOME", "/root")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("VERSION", env!("CARGO_PKG_VERSION")))
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // What a failure leaves is removed by the next run.
        _ = fs::remove_dir_all(&self.folder);
    }
}

/// The mirror that this machine uses.
fn mirror() -> Result<String, String> {
    let listed = read(program("apt-get").args([
        "indextargets",
        "--format=$(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    let mirror = listed.lines().find(|uri| uri.ends_with("/debian/"));
    mirror
        .map(str::to_owned)
        .ok_or_else(|| "apt of this machine has no mirror of Debian".to_owned())
}

/// Unpacks the image, and runs the demo as its user where there is nothing but the image.
fn try_image() -> Outcome {
    let place = target().join("dist-trial/image");
    empty(&place)?;
    let layout = place.join("layout");
    empty(&layout)?;
    let version = env!("CARGO_PKG_VERSION");
    run(program("tar")
        .arg("--extract")
        .arg("--directory")
        .arg(&layout)
        .arg("--file")
        .arg(target().join(format!("dist/keyfob-{version}-image.oci.tar"))))?;
    let bundle = place.join("bundle");
    run(program("umoci")
        .args(["unpack", "--image"])
        .arg(format!("{}:{version}", layout.display()))
        .arg(&bundle))?;
    run(program("chroot")
        .arg("--userspec=65534:65534")
        .arg(bundle.join("rootfs"))
        .args(["/usr/bin/keyfob", "demo"])
        .env_clear()
        .env("HOME", "/tmp")
        .env("PATH", "/usr/sbin:/usr/bin"))
}

/// Installs the wheel into a Python of this machine and runs README's example, if there is that Python.
fn try_wheel(version: &str, offline: &Path) -> Outcome {
    let Some(python) = interpreter(version) else {
        println!("   Python {version}: skipped, because it is not installed");
        return Ok(());
    };
    let place = target()
        .join("dist-trial")
        .join(format!("python-{version}"));
    empty(&place)?;
    let start = Instant::now();
    run(program(python).args(["-m", "venv"]).arg(&place))?;
    let python = place.join("bin/python");
    run(program(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--only-binary=:all:",
        ])
        .arg("--find-links")
        .arg(offline)
        .arg("--find-links")
        .arg(target().join("dist"))
        .arg("keyfob"))?;
    let example = place.join("try_example.py");
    write(&example, EXAMPLE)?;
    run(program(&python)
        .arg(&example)
        .arg(root().join("README.md"))
        .env_clear()
        .env("PATH", "/usr/bin:/bin"))?;
    println!(
        "   Python {version}: {:.1} s",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The program `python3.x` in `PATH`, or one that pyenv has installed.
fn interpreter(version: &str) -> Option<PathBuf> {
    let home = env::var_os("PYENV_ROOT").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".pyenv")))?;
    let installed = fs::read_dir(home.join("versions")).into_iter().flatten();
    let installed = installed.filter_map(Result::ok).map(|entry| entry.path());
    let name = format!("python{version}");
    let candidates = installed.map(|folder| folder.join("bin").join(&name));
    [PathBuf::from(&name)]
        .into_iter()
        .chain(candidates)
        // A shim of pyenv is in PATH for each version, and fails for those that were not chosen.
        .find(|python| {
            let mut command = program(python);
            let quiet = command
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            quiet.status().is_ok_and(|status| status.success())
        })
}

/// The packages that the wheel needs, for each Python of the trials.
fn packages_of_the_wheel() -> Result<PathBuf, String> {
    let place = target().join("dist-trial/offline");
    empty(&place)?;
    for version in PYTHONS {
        run(python::dist_tool("python")
            .args(["-m", "pip", "download", "--quiet", "--only-binary=:all:"])
            .args(["--python-version", version, "--dest"])
            .arg(&place)
            .arg("requests>=2.32"))?;
    }
    Ok(place)
}

fn copy_folder(from: &Path, to: &Path) -> Outcome {
    let files = fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))?;
    for file in files.filter_map(Result::ok) {
        copy(&file.path(), &to.join(file.file_name()))?;
    }
    Ok(())
}

const PYTHONS: [&str; 4] = ["3.10", "3.11", "3.12", "3.13"];
const SUITES: [&str; 2] = ["oldstable", "stable"];
const EXAMPLE: &str = include_str!("try_example.py");
