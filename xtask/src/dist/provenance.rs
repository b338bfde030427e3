//! What a security team asks for: what is inside, and whether the bytes are the ones that were given out.

use std::path::Path;

use crate::dist::{Artefact, Release, copy, write};
use crate::install::CARGO_CYCLONEDX;
use crate::process::{program, read, root, run};

/// The bill of materials of the program, in the JSON of CycloneDX.
pub(crate) fn bill_of_materials(release: &Release) -> Result<Artefact, String> {
    let cyclonedx = CARGO_CYCLONEDX.path().ok_or("cargo-cyclonedx is gone")?;
    let name = format!("keyfob-{}.cdx", release.version);
    run(program(cyclonedx)
        .args(["cyclonedx", "--format=json", "--spec-version=1.5"])
        .args(["--target=x86_64-unknown-linux-gnu"])
        .args(["--manifest-path=crates/keyfob-cli/Cargo.toml"])
        .arg(format!("--override-filename={name}"))
        .env("SOURCE_DATE_EPOCH", &release.time))?;
    let written = root()
        .join("crates/keyfob-cli")
        .join(format!("{name}.json"));
    let path = release.path(format!("{name}.json"));
    copy(&written, &path)?;
    // It writes one for each crate of the workspace.
    let crates = std::fs::read_dir(root().join("crates")).map_err(|error| error.to_string())?;
    let crates = crates.filter_map(Result::ok).map(|entry| entry.path());
    for folder in crates.chain([root().join("xtask")]) {
        let written = folder.join(format!("{name}.json"));
        if written.exists() {
            std::fs::remove_file(&written).map_err(|error| error.to_string())?;
        }
    }
    Ok(Artefact {
        path,
        tried: "made from Cargo.lock; the program lists the same crates (cargo auditable)",
    })
}

/// The SHA-256 sums of all artefacts, as `sha256sum --check` reads them.
pub(crate) fn checksums(release: &Release, made: &[Artefact]) -> Result<Artefact, String> {
    let names = made.iter().filter_map(|artefact| artefact.path.file_name());
    let sums = read(
        program("sha256sum")
            .args(names.map(Path::new))
            .current_dir(&release.folder),
    )?;
    let path = release.path("SHA256SUMS");
    write(&path, sums)?;
    run(program("sha256sum")
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(&release.folder))?;
    Ok(Artefact {
        path,
        tried: "checked",
    })
}
