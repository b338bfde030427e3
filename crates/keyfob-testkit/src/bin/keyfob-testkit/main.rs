//! The test kit as a program, for tests in other languages.
//!
//! It starts an issuer of tokens and an API that checks them, says in one line of JSON where they are, and runs until
//! its standard input ends. `control` has what a test can ask of it meanwhile.

mod control;
mod echo;
mod options;
mod outside;
mod scripted;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use keyfob_testkit::json;

use crate::options::Options;
use crate::outside::Outside;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("keyfob-testkit: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let outside = Arc::new(Outside::start(options));
    let control = control::start(&outside);
    let places = json!({
        "token_url": outside.endpoint.url(),
        "api_url": outside.api.url(),
        "control_url": control.url(),
    });
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{places}")?;
    stdout.flush()?;
    // However the test ends, its end of the pipe closes; no signal and no process number can be missed or mistaken.
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}
