//! What the reader sees: each gate as it starts and ends, and one table at the end.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::gates::Gate;
use crate::process::Outcome;

/// How one gate ended.
pub(crate) struct Verdict {
    gate: &'static Gate,
    outcome: Outcome,
    took: Duration,
}

/// Announces the gate, runs it, and says how it ended.
pub(crate) fn timed(gate: &'static Gate, run: impl FnOnce() -> Outcome) -> Verdict {
    println!("── {}: {}", gate.name, gate.proves);
    let start = Instant::now();
    let outcome = run();
    let verdict = Verdict {
        gate,
        outcome,
        took: start.elapsed(),
    };
    println!("── {}\n", verdict.line());
    verdict
}

/// Prints one line per gate, then the counts alone on the last line.
pub(crate) fn summary(verdicts: &[Verdict]) -> ExitCode {
    for verdict in verdicts {
        println!("{}", verdict.line());
    }
    let failed = verdicts
        .iter()
        .filter(|verdict| verdict.outcome.is_err())
        .count();
    println!("{} passed, {failed} failed", verdicts.len() - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints the name of each gate and what it proves.
pub(crate) fn list(gates: &[Gate]) {
    for gate in gates {
        println!("{:10}{}", gate.name, gate.proves);
    }
}

impl Verdict {
    fn line(&self) -> String {
        let (result, reason) = match &self.outcome {
            Ok(()) => ("ok", ""),
            Err(reason) => ("FAILED", reason.as_str()),
        };
        let seconds = self.took.as_secs_f32();
        format!("{:10}{result:8}{seconds:7.1} s  {reason}", self.gate.name)
            .trim_end()
            .to_owned()
    }
}
