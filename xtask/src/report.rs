//! What the reader sees: each gate as it starts and ends, and one table at the end.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::gates::{Finding, Gate};

/// How one gate ended.
pub(crate) struct Verdict {
    gate: &'static Gate,
    finding: Finding,
    took: Duration,
}

/// Announces the gate, runs it, and says how it ended.
pub(crate) fn timed(gate: &'static Gate, run: impl FnOnce() -> Finding) -> Verdict {
    println!("── {}: {}", gate.name, gate.proves);
    let start = Instant::now();
    let finding = run();
    ended(gate, finding, start.elapsed())
}

/// Says how a gate ended.
pub(crate) fn ended(gate: &'static Gate, finding: Finding, took: Duration) -> Verdict {
    let verdict = Verdict {
        gate,
        finding,
        took,
    };
    println!("── {}\n", verdict.line());
    verdict
}

/// Prints one line for each gate, and the counts alone on the last line.
pub(crate) fn summary(verdicts: &[Verdict]) -> ExitCode {
    for verdict in verdicts {
        println!("{}", verdict.line());
    }
    let count = |is: fn(&Finding) -> bool| verdicts.iter().filter(|v| is(&v.finding)).count();
    let failed = count(|finding| matches!(finding, Finding::Failed(_)));
    let skipped = count(|finding| matches!(finding, Finding::Skipped(_)));
    let passed = verdicts.len() - failed - skipped;
    match skipped {
        0 => println!("{passed} passed, {failed} failed"),
        _ => println!("{passed} passed, {failed} failed, {skipped} skipped"),
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints the name of each gate and what it proves.
pub(crate) fn list(gates: &[Gate]) {
    for gate in gates {
        println!("{:12}{}", gate.name, gate.proves);
    }
}

impl Verdict {
    fn line(&self) -> String {
        let (result, reason) = match &self.finding {
            Finding::Passed => ("ok", ""),
            Finding::Failed(reason) => ("FAILED", reason.as_str()),
            Finding::Skipped(reason) => ("skipped", reason.as_str()),
        };
        let seconds = self.took.as_secs_f32();
        format!("{:12}{result:8}{seconds:7.1} s  {reason}", self.gate.name)
            .trim_end()
            .to_owned()
    }
}
