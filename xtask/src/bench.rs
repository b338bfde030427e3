//! `cargo xtask bench`: sets up what the side by side needs, and runs it.

use std::path::Path;

use crate::install::{self, Need};
use crate::process::{Outcome, cargo, program, root, run, target};
use crate::python;

/// Asks the named questions, or all of them, whose answers then make the page. With `--page`, those of some questions replace
/// their sections.
pub(crate) fn measure(arguments: &[&str]) -> Outcome {
    let questions = arguments.iter().copied().filter(|word| *word != "--page");
    let questions: Vec<&str> = questions.collect();
    let writes = questions.is_empty() || questions.len() < arguments.len();
    if questions == ["pool"] {
        return run(&mut cargo([
            "bench",
            "--package=keyfob",
            "--no-default-features",
            "--features=pool,tokio",
            "--bench=pool",
        ]));
    }
    let asked = |question: &str| questions.is_empty() || questions.contains(&question);
    let mut bench = cargo([
        "run",
        "--release",
        "--manifest-path=crates/keyfob-bench/Cargo.toml",
        "--",
    ]);
    bench
        .args(&questions)
        .env("CARGO_TARGET_DIR", root().join("target/bench"));
    if asked("fleet") {
        let results = target().join("fleet.json");
        measure_fleets(&results)?;
        bench.env("KEYFOB_BENCH_FLEET", results);
    }
    if asked("python") {
        let (interpreter, path) = python::with_peers(PYTHON_PEERS)?;
        bench
            .env("KEYFOB_BENCH_PYTHON", interpreter)
            .env("PYTHONPATH", path);
    }
    if asked("proxy") {
        // nginx is what the proxy is compared with.
        let absent = install::provide([Need::Nginx].iter());
        absent.into_values().next().map_or(Ok(()), Err)?;
    }
    if asked("start") || asked("proxy") {
        run(&mut cargo(["build", "--release"]))?;
        bench.env("KEYFOB_BENCH_PROGRAM", target().join("release/keyfob"));
    }
    if writes {
        bench.env("KEYFOB_BENCH_PAGE", root().join("docs"));
    }
    run(&mut bench)
}

/// Runs fleets of processes that share a token, and writes the results to this file.
fn measure_fleets(results: &Path) -> Outcome {
    let stores = ["file", "redis", "redis-cluster", "postgres"];
    let soak = ["test", "--workspace", "--all-features", "--test=soak", "--"];
    run(cargo(soak)
        .args(["fleet", "--lifetimes", "3", "--lifetime", "6"])
        .args(stores)
        .env("KEYFOB_FLEET_RESULTS", results))
}

/// Does the same harm to the Python package and to its peers, and writes the page with the results.
pub(crate) fn torture() -> Outcome {
    let (interpreter, path) = python::with_peers(TORTURE_PEERS)?;
    let page = root().join("docs/explanation/faults.md");
    run(program(interpreter)
        .arg(root().join("crates/keyfob-bench/python/torture.py"))
        .arg(page)
        .env("PYTHONPATH", path))
}

/// Those that renew a token with a refresh token.
const TORTURE_PEERS: &[&str] = &[
    "google-auth~=2.40",
    "authlib~=1.6",
    "requests-oauthlib~=2.0",
];

/// What Python programs would take instead; `requests` and `httpx` are there for the tests.
const PYTHON_PEERS: &[&str] = &["google-auth~=2.40", "authlib~=1.6"];
