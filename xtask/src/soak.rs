//! The soaks: processes that share a token and are killed, and many requests to an API that fails.

use crate::process::{self, Outcome, cargo, root};
use crate::python;

/// The long soak, of which the gate runs a short one.
pub(crate) fn long(options: &[&str]) -> Outcome {
    run(
        &[
            "--processes",
            "50",
            "--lifetimes",
            "20",
            "--lifetime",
            "6",
            "--kill-every-ms",
            "1000",
            "--server-fault-every",
            "10",
        ],
        options,
    )
}

/// Many requests with short-lived tokens to an API that fails, in Rust and in Python.
pub(crate) fn requests() -> Outcome {
    run(&["load"], &[])?;
    let client = python::installed()?;
    let program = root().join(LOAD_CLIENT).display().to_string();
    run(&["load", "--client", &client, &program], &[])
}

/// Runs the soak with these arguments, and then more.
pub(crate) fn run(arguments: &[&str], more: &[&str]) -> Outcome {
    let soak = ["test", "--workspace", "--all-features", "--test=soak", "--"];
    process::run(cargo(soak).args(arguments).args(more))
}

/// The client of the load test in Python.
const LOAD_CLIENT: &str = "crates/keyfob-python/tests/load_client.py";
