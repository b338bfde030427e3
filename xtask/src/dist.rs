//! `cargo xtask dist`: makes the files of a release, in `target/dist`, and prints a table of them.
//!
//! The times in all archives are that of the last commit, and their members are sorted: the same sources and tools make the same
//! bytes.

mod compare;
mod image;
mod licences;
mod packages;
mod parts;
mod provenance;
pub(crate) mod published;
pub(crate) mod trial;
pub(crate) mod unsafe_code;
mod wheel;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::install::{self, Need};
use crate::process::{Outcome, program, read, root, target};
use crate::site;

pub(crate) use crate::dist::compare::compare;

/// A file of a release.
pub(crate) struct Artefact {
    pub(crate) path: PathBuf,
    /// How this run has tried it, in words.
    pub(crate) tried: &'static str,
}

/// Where the artefacts are, and what they have in common.
pub(crate) struct Release {
    pub(crate) folder: PathBuf,
    pub(crate) version: String,
    /// The time of the last commit, in seconds since 1970.
    pub(crate) time: String,
}

/// Makes everything.
pub(crate) fn make() -> Outcome {
    let start = Instant::now();
    let absent = install::provide(NEEDS.iter());
    if let Some(reason) = absent.into_values().next() {
        return Err(reason);
    }
    let release = Release::new()?;
    let program = parts::build_program(&release)?;
    let parts = parts::gather(&release, &program)?;
    let mut made = vec![
        packages::tarball(&release, &parts)?,
        packages::deb(&release, &parts)?,
        packages::rpm(&release, &parts)?,
        image::make(&release, &parts)?,
    ];
    made.extend(wheel::make(&release)?);
    made.push(provenance::bill_of_materials(&release)?);
    made.push(schema(&release)?);
    made.push(documentation(&release)?);
    let sums = provenance::checksums(&release, &made)?;
    made.push(sums);
    print_table(&made)?;
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    println!(
        "in {}, after {minutes:.1} minutes",
        release.folder.display()
    );
    Ok(())
}

impl Release {
    /// An empty folder for the artefacts of this version.
    pub(crate) fn new() -> Result<Self, String> {
        let folder = target().join("dist");
        empty(&folder)?;
        let package = read(program("cargo").args(["pkgid", "--package=keyfob-cli"]))?;
        let version = package.trim().rsplit(['#', '@']).next();
        let time = read(program("git").args(["log", "-1", "--format=%ct"]))?;
        Ok(Self {
            folder,
            version: version.unwrap_or_default().to_owned(),
            time: time.trim().to_owned(),
        })
    }

    /// A path below the folder of artefacts.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }

    /// A gzipped tar of a folder, the same for the same content.
    pub(crate) fn pack(&self, folder: &Path, to: &Path) -> Outcome {
        let (place, name) = (folder.parent(), folder.file_name());
        let (Some(place), Some(name)) = (place, name) else {
            return Err(format!("{} has no name", folder.display()));
        };
        let time = format!("--mtime=@{}", self.time);
        crate::process::run(
            program("tar")
                .args(["--create", "--sort=name", "--owner=0", "--group=0"])
                .args(["--numeric-owner", &time, "--use-compress-program=gzip -9n"])
                .args(["--mode=u+rw,go+r-w", "--file"])
                .arg(to)
                .arg("--directory")
                .arg(place)
                .arg(name),
        )
    }
}

/// The JSON Schema of profile files, for editors.
fn schema(release: &Release) -> Result<Artefact, String> {
    let path = release.path("keyfob.schema.json");
    copy(&root().join("docs/keyfob.schema.json"), &path)?;
    Ok(Artefact {
        path,
        tried: "a test compares it with the program",
    })
}

fn documentation(release: &Release) -> Result<Artefact, String> {
    site::build()?;
    let path = release.path(format!("keyfob-docs-{}.tar.gz", release.version));
    release.pack(&target().join("site/book"), &path)?;
    Ok(Artefact {
        path,
        tried: "each link was followed",
    })
}

fn print_table(made: &[Artefact]) -> Outcome {
    println!("\n{:<58} {:>10}  tried", "artefact", "size");
    for artefact in made {
        let size = fs::metadata(&artefact.path)
            .map_err(|error| format!("{}: {error}", artefact.path.display()))?
            .len();
        let name = artefact.path.file_name().unwrap_or_default();
        let size = format!("{:.2} MiB", size as f64 / f64::from(1 << 20));
        println!("{:<58} {size:>10}  {}", name.display(), artefact.tried);
    }
    Ok(())
}

/// Makes a folder empty.
pub(crate) fn empty(folder: &Path) -> Outcome {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// Copies a file, and makes its folder.
pub(crate) fn copy(from: &Path, to: &Path) -> Outcome {
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder)
        .and_then(|()| fs::copy(from, to))
        .map(drop)
        .map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

/// Writes a file, and makes its folder.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Outcome {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// What has to be installed for it.
const NEEDS: &[Need] = &[
    Need::DistTools,
    Need::CargoAuditable,
    Need::CargoCyclonedx,
    Need::MdBook,
    Need::Rpm,
    Need::Umoci,
];
