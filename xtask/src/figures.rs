//! Figures that are the same on every machine: what a cached read allocates, what a herd costs the source, and how many
//! instructions a cached read takes against the least that could do it.

use std::path::{Path, PathBuf};

use crate::process::{Outcome, build_one, cargo, program, read};

/// Measures, and says which figure has slipped.
pub(crate) fn check() -> Outcome {
    let measure = build()?;
    let counted = read(&mut program(&measure))?;
    print!("{counted}");
    let mut slipped: Vec<String> = counted
        .lines()
        .filter(|line| !COUNTS.contains(line))
        .map(|line| format!("{line} is not what it must be"))
        .collect();
    if counted.lines().count() != COUNTS.len() {
        slipped.push(format!("{} counts were wanted", COUNTS.len()));
    }
    let floor = instructions(&measure, "floor")?;
    println!("instructions of floor {floor:.0}");
    for (way, limit) in RATIOS {
        let instructions = instructions(&measure, way)?;
        let ratio = instructions / floor;
        println!("instructions of {way} {instructions:.0}, {ratio:.2} of the floor");
        if ratio > *limit {
            slipped.push(format!(
                "a read by {way} takes {ratio:.2} times the floor's instructions, more than {limit:.2}"
            ));
        }
    }
    if slipped.is_empty() {
        Ok(())
    } else {
        Err(slipped.join("; "))
    }
}

/// Builds the program that reads, and answers where it is.
fn build() -> Result<PathBuf, String> {
    build_one(&mut cargo([
        "build",
        "--release",
        "--package=keyfob-figures",
        "--message-format=json-render-diagnostics",
    ]))
}

/// The instructions of one read: what more reads cost more, so that starting the program counts nothing.
fn instructions(measure: &Path, way: &str) -> Result<f64, String> {
    let few = all_instructions(measure, way, FEW)?;
    let many = all_instructions(measure, way, MANY)?;
    Ok((many - few) / f64::from(MANY - FEW))
}

fn all_instructions(measure: &Path, way: &str, reads: u32) -> Result<f64, String> {
    let counted = read(
        program(VALGRIND)
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg("--log-fd=1")
            .arg(measure)
            .args([way, &reads.to_string()]),
    )?;
    collected(&counted).ok_or_else(|| format!("valgrind counted nothing: {counted}"))
}

/// The number in valgrind's line `==1== Collected : 522927`.
fn collected(text: &str) -> Option<f64> {
    let (_, rest) = text.split_once("Collected :")?;
    rest.split_whitespace().next()?.parse().ok()
}

const VALGRIND: &str = "/usr/bin/valgrind";
const FEW: u32 = 1_000;
const MANY: u32 = 11_000;

/// What must be counted, to the letter.
const COUNTS: &[&str] = &[
    "allocations of header 0",
    "allocations of lease, async 0",
    "allocations of lease, blocking 0",
    "calls for a herd 1",
];

/// How many times the floor's instructions a read may take: somewhat more than it did when this was written.
///
/// More than 1, though a read takes less time than the floor: valgrind hides the kernel's clocks, and reading two that are
/// coarse takes more instructions than reading one that is fine.
const RATIOS: &[(&str, f64)] = &[
    ("header", 1.80),
    ("lease, async", 2.05),
    ("lease, blocking", 2.00),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_valgrind_is_read() {
        let text = "==7== Events    : Ir\n==7== Collected : 522927\n==7== \n";
        assert_eq!(collected(text), Some(522_927.0));
        assert_eq!(collected("==7== Events : Ir"), None);
    }
}
