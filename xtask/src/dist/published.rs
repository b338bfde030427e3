//! What crates.io would get: whether each crate builds, and its tests compile, from its own files alone; and whether the libraries
//! break programs that use the version before.

use crate::install::CARGO_SEMVER_CHECKS;
use crate::process::{Outcome, cargo, program, read, run, target};

/// Builds each public crate from its package, in the order of their dependencies, and publishes nothing.
pub(crate) fn check() -> Outcome {
    let mut publish = cargo(["publish", "--dry-run", "--locked"]);
    run(publish.args(PUBLIC.map(|package| format!("--package={package}"))))?;
    // Distributions run the tests of what is published, and need no repository for it.
    let version = env!("CARGO_PKG_VERSION");
    let library = target().join(format!("package/keyfob-{version}"));
    let tests = ["test", "--locked", "--all-features", "--no-run"];
    run(cargo(tests)
        .current_dir(library)
        .env("CARGO_TARGET_DIR", target()))
}

/// Fails if the libraries break what the newest tagged version promised, unless the version number allows it.
pub(crate) fn compare_with_last_release() -> Outcome {
    let tags = ["tag", "--list", "v*", "--sort=-version:refname"];
    // A release is not compared with itself.
    let before = ["--merged=HEAD", "--no-contains=HEAD"];
    let tags = read(program("git").args(tags).args(before))?;
    let Some(tag) = tags.lines().next() else {
        println!("   there is no older tag `v…`, and so no release to compare the libraries with");
        return Ok(());
    };
    CARGO_SEMVER_CHECKS.install()?;
    let tool = CARGO_SEMVER_CHECKS.path();
    let tool = tool.ok_or("cargo-semver-checks is gone")?;
    println!("   compared with {tag}");
    run(program(tool)
        .args(["semver-checks", "--baseline-rev", tag])
        .args(LIBRARIES.map(|package| format!("--package={package}"))))
}

/// The crates that are published, in the order of their dependencies.
const PUBLIC: [&str; 3] = ["keyfob", "keyfob-testkit", "keyfob-cli"];

/// Those of them that other programs are built with.
const LIBRARIES: [&str; 2] = ["keyfob", "keyfob-testkit"];
