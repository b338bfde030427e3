//! What crates.io would get: whether each crate builds, and its tests compile, from its own files alone.

use crate::process::{Outcome, cargo, run, target};

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

/// The crates that are published, in the order of their dependencies.
const PUBLIC: [&str; 3] = ["keyfob", "keyfob-testkit", "keyfob-cli"];
