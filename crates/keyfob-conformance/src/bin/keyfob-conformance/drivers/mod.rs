//! The drivers of the Rust interfaces and of the command line: they run jobs from standard input.

mod blocking;
mod cli;
mod middleware;
mod proxy;
mod results;
mod runtime;
mod session;
mod settings;
mod source;
mod tower;

use std::io::{BufRead, Write, stdin, stdout};

use keyfob_conformance::outcome::{Job, Outcome};

/// Runs jobs until the input ends.
pub(crate) fn drive(face: &str) -> Result<(), String> {
    let run: fn(&Job) -> Outcome = match face {
        "session" => session::run,
        "blocking" => blocking::run,
        "tower" => tower::run,
        "middleware" => middleware::run,
        "proxy" => proxy::run,
        "cli" => cli::run,
        other => return Err(format!("there is no driver {other}")),
    };
    for line in stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let job = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        let outcome = serde_json::to_string(&run(&job)).map_err(|error| error.to_string())?;
        writeln!(stdout(), "{outcome}").map_err(|error| error.to_string())?;
    }
    Ok(())
}
