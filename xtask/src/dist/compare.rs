//! Whether the same sources make the same bytes: everything is built again from nothing in another folder, and compared.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;

use crate::dist;
use crate::process::{Outcome, program, run, target};

/// Compares what is in `target/dist` with what a second build makes. The first one has to be of the same commit.
pub(crate) fn compare() -> Outcome {
    let first = target().join("dist");
    if !first.join("SHA256SUMS").exists() {
        dist::make()?;
    }
    let other = target().join("again");
    let this = env::current_exe().map_err(|error| error.to_string())?;
    run(program(this).arg("dist").env("CARGO_TARGET_DIR", &other))?;
    let (first, second) = (sums(&first)?, sums(&other.join("dist"))?);
    let mut different = Vec::new();
    for (name, sum) in &first {
        let same = second.get(name) == Some(sum);
        println!("{}  {name}", if same { "equal    " } else { "different" });
        if !same {
            different.push(name.as_str());
        }
    }
    match different.is_empty() && first.len() == second.len() {
        true => Ok(()),
        false => Err(format!("not equal: {}", different.join(", "))),
    }
}

/// The SHA-256 sum of each file, by its name.
fn sums(folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let path = folder.join("SHA256SUMS");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = text.lines().filter_map(|line| line.split_once("  "));
    Ok(lines
        .map(|(sum, name)| (name.to_owned(), sum.to_owned()))
        .collect())
}
