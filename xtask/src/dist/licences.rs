//! The texts of the licences of all libraries that are inside the program, from the sources of each library.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::dist::write;
use crate::process::{Outcome, cargo, read};

/// Writes each text once, with the names of the libraries that have it.
pub(crate) fn collect(to: &Path) -> Outcome {
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut without = Vec::new();
    for library in libraries()? {
        let texts = texts_in(&library.folder)?;
        if texts.is_empty() {
            without.push(format!("{} ({})", library.name, library.licence));
        }
        for text in texts {
            owners.entry(text).or_default().insert(library.name.clone());
        }
    }
    let mut page = "The libraries inside keyfob, and their licences.\n".to_owned();
    for (text, names) in &owners {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        // Writing to a string cannot fail.
        _ = write!(page, "\n{LINE}\n{}\n\n{text}\n", names.join(", "));
    }
    if !without.is_empty() {
        let names = without.join(", ");
        _ = write!(
            page,
            "\n{LINE}\nThese name their licence and have no file with its text; the texts are above:\n{names}\n"
        );
    }
    write(to, page)
}

/// A library that is inside.
pub(crate) struct Library {
    /// With its version.
    pub(crate) name: String,
    licence: String,
    pub(crate) folder: PathBuf,
}

/// The libraries inside the program, by name.
pub(crate) fn libraries() -> Result<Vec<Library>, String> {
    let inside = read(&mut cargo([
        "tree",
        "--locked",
        "--package=keyfob-cli",
        "--edges=normal",
        "--target=x86_64-unknown-linux-gnu",
        "--prefix=none",
        "--format={p}",
    ]))?;
    // A line is `name v1.2.3`, with the folder of a member of the workspace, or `(proc-macro)`, after it.
    let inside: BTreeSet<String> = inside
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let metadata = read(&mut cargo(["metadata", "--locked", "--format-version=1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let mut found: Vec<_> = packages
        .iter()
        .map(|package| Library {
            name: format!("{} v{}", text(package, "name"), text(package, "version")),
            licence: text(package, "license"),
            folder: Path::new(&text(package, "manifest_path"))
                .parent()
                .map(Path::to_owned)
                .unwrap_or_default(),
        })
        .filter(|library| inside.contains(&library.name))
        .collect();
    if found.len() != inside.len() {
        return Err(format!(
            "{} libraries are inside, and {} were found",
            inside.len(),
            found.len()
        ));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The files of a library that are named after licences.
fn texts_in(folder: &Path) -> Result<Vec<String>, String> {
    let files = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = files
        .filter_map(Result::ok)
        .map(|file| file.path())
        .collect();
    paths.retain(|path| path.is_file() && is_licence(path));
    paths.sort();
    let texts = paths.iter().map(|path| {
        let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.trim().lines().map(str::trim_end).collect();
        Ok(lines.join("\n"))
    });
    texts.collect()
}

fn is_licence(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_uppercase();
    [
        "LICENSE",
        "LICENCE",
        "COPYING",
        "COPYRIGHT",
        "NOTICE",
        "UNLICENSE",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

const LINE: &str =
    "--------------------------------------------------------------------------------";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_licences_are_known_by_their_names() {
        for name in ["LICENSE", "LICENSE-MIT", "license.txt", "COPYING", "NOTICE"] {
            assert!(is_licence(Path::new(name)), "{name}");
        }
        assert!(!is_licence(Path::new("src/lib.rs")));
    }
}
