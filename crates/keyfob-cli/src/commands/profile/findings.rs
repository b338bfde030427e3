//! What the check of a profile found, as lines.

use std::error::Error as _;

use keyfob::error::printable;
use keyfob::profile::Finding;
use serde_json::{Value, json};

use crate::output::error::{CliError, with_causes};
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;

/// Prints what a check found. An error has no message of its own, because the line of the finding is the message.
pub(super) fn report(findings: &[Finding]) -> Result<ExitCode, CliError> {
    for finding in findings {
        print_stdout(line(finding))?;
    }
    exit(findings)
}

/// The exit code for what a check found.
pub(super) fn exit(findings: &[Finding]) -> Result<ExitCode, CliError> {
    match findings.iter().find_map(|finding| finding.outcome().err()) {
        Some(error) => Err(CliError::silent(CliError::from(error.clone()).exit())),
        None => Ok(ExitCode::Done),
    }
}

/// The fields that a program reads.
pub(super) fn step(finding: &Finding) -> Value {
    let (found, error) = match finding.outcome() {
        Ok(found) => (Some(found), None),
        Err(error) => (None, Some(with_causes(error.to_string(), error.source()))),
    };
    json!({"step": finding.what(), "works": error.is_none(), "found": found, "error": error})
}

fn line(finding: &Finding) -> String {
    let what = finding.what();
    let (mark, text) = match finding.outcome() {
        Ok(found) => ("ok", format!("{what} {found}")),
        Err(error) => {
            let cause = with_causes(error.to_string(), error.source());
            ("failed", format!("{what}: {cause}"))
        }
    };
    format!("{mark:8}{}\n", printable(text))
}
