//! Runs the conformance table; see the documentation of the library.

mod child;
mod drivers;
mod runner;
mod servers;
mod tls;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use keyfob_conformance::corpus::corpus;
use keyfob_conformance::exceptions;

use crate::runner::Selection;

/// Runs the cases of the conformance table over the interfaces of keyfob
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Subcommand)]
enum Command {
    /// Print the cases as JSON
    Corpus,
    /// Compare the exceptions with docs/reference/contract.md, or write them there
    Exceptions {
        /// Write them
        #[arg(long)]
        write: bool,
    },
    /// Run jobs from standard input through one interface
    #[command(hide = true)]
    Drive {
        /// The interface
        face: String,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Some(Command::Corpus) => print_corpus(),
        Some(Command::Exceptions { write }) => compare_exceptions(write),
        Some(Command::Drive { face }) => drivers::drive(&face),
        None => runner::run(&arguments.selection),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keyfob-conformance: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), String>;

fn print_corpus() -> Outcome {
    let text = serde_json::to_string_pretty(&corpus()).map_err(|error| error.to_string())?;
    println!("{text}");
    Ok(())
}

fn compare_exceptions(write: bool) -> Outcome {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/contract.md");
    let text = std::fs::read_to_string(&page).map_err(|error| error.to_string())?;
    let wanted =
        exceptions::written_into(&text).ok_or("docs/reference/contract.md has no markers")?;
    match (text == wanted, write) {
        (true, _) => Ok(()),
        (false, true) => std::fs::write(&page, wanted).map_err(|error| error.to_string()),
        (false, false) => {
            Err("docs/reference/contract.md has other exceptions; add --write".to_owned())
        }
    }
}
