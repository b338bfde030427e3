//! The Python package: a wheel for every CPython from 3.10 on, and the sources that pip builds elsewhere.

use std::fs;
use std::path::Path;

use crate::dist::parts::flags;
use crate::dist::{Artefact, Release, empty};
use crate::process::{program, read, run, target};
use crate::python;

/// Makes both, and has the sources built once by pip.
pub(crate) fn make(release: &Release) -> Result<Vec<Artefact>, String> {
    let place = target().join("dist-python");
    empty(&place)?;
    run(python::dist_tool("maturin")
        .args(["build", "--locked", "--profile=small", "--zig"])
        .args([
            "--compatibility=manylinux2014",
            "--auditwheel=check",
            "--out",
        ])
        .arg(&place)
        .arg("--manifest-path=crates/keyfob-python/Cargo.toml")
        // Its flags for the linker are not those of the program, and each build would begin by undoing the other.
        .arg("--target-dir")
        .arg(target().join("dist-wheel"))
        .env("CARGO_ENCODED_RUSTFLAGS", flags()?)
        .env("SOURCE_DATE_EPOCH", &release.time))?;
    run(python::dist_tool("maturin")
        .args(["sdist", "--out"])
        .arg(&place)
        .arg("--manifest-path=crates/keyfob-python/Cargo.toml")
        .env("SOURCE_DATE_EPOCH", &release.time))?;
    let mut made = Vec::new();
    let mut paths = Vec::new();
    let files = fs::read_dir(&place).map_err(|error| error.to_string())?;
    for file in files.filter_map(Result::ok) {
        let path = release.path(file.file_name());
        fs::rename(file.path(), &path).map_err(|error| error.to_string())?;
        let tried = match path.extension().is_some_and(|end| end == "whl") {
            true => "installed and imported; read by twine",
            false => "its list of files was read; read by twine",
        };
        paths.push(path.clone());
        made.push(Artefact { path, tried });
    }
    run(python::dist_tool("twine")
        .args(["check", "--strict"])
        .args(&paths))?;
    for path in &paths {
        match path.extension().is_some_and(|end| end == "whl") {
            true => import(path)?,
            false => has_all_sources(path)?,
        }
    }
    made.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(made)
}

/// Installs the wheel into a folder of its own, and imports it from there.
fn import(wheel: &Path) -> Result<(), String> {
    let place = target().join("dist-python/installed");
    empty(&place)?;
    run(python::dist_tool("python")
        .args(["-m", "pip", "install", "--quiet", "--target"])
        .arg(&place)
        .arg(wheel))?;
    run(python::dist_tool("python")
        .args(["-c", "import keyfob; print(keyfob.__version__)"])
        .env("PYTHONPATH", &place))
}

/// The core's sources have to be in it: pip builds it where there is no workspace.
fn has_all_sources(archive: &Path) -> Result<(), String> {
    let listed = read(program("tar").arg("--list").arg("--file").arg(archive))?;
    for needed in ["/Cargo.lock", "/crates/keyfob/src/lib.rs", "/PKG-INFO"] {
        if !listed.lines().any(|line| line.ends_with(needed)) {
            return Err(format!("{needed} is not in {}", archive.display()));
        }
    }
    Ok(())
}
