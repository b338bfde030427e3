//! The test kit as a program, for tests in other languages.
//!
//! It starts a token endpoint and an API that checks its tokens, prints their URLs in one line of JSON, and runs until its
//! standard input ends. The module `control` has the requests that a test can make in the meantime.

mod control;
mod echo;
mod options;
mod scripted;
mod servers;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use keyfob_testkit::json;

use crate::options::Options;
use crate::servers::TestServers;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keyfob-testkit: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let servers = Arc::new(TestServers::start(options));
    let control = control::start(&servers);
    let urls = json!({
        "token_url": servers.endpoint.url(),
        "api_url": servers.api.url(),
        "control_url": control.url(),
    });
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{urls}")?;
    stdout.flush()?;
    // The pipe closes however the test ends. That is more reliable than a signal or a process id.
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}
