//! The structure of the sources: each crate follows the folder rule of ARCHITECTURE.md, docs/reference/contract.md names tests that
//! exist, ARCHITECTURE.md names files that exist, docs/reference/observability.md lists the log events, and figures are measured.

mod contract;
mod error_texts;
mod events;
mod examples;
mod features;
mod figures;
mod folders;
mod pages;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::folders::{Imports, Rule};

#[test]
fn each_crate_follows_its_folder_rule() {
    let page = read(&root().join("ARCHITECTURE.md"));
    for (crate_, lead_in) in [
        ("keyfob", "The folders of the library, from the top:"),
        (
            "keyfob-cli",
            "The folders of the command line, from the top:",
        ),
        ("keyfob-python", "Rust modules, from the top:"),
    ] {
        let rule = Rule::parse(&page, lead_in);
        let rule = rule.unwrap_or_else(|| panic!("ARCHITECTURE.md has no block after {lead_in:?}"));
        let imports = Imports::read(&root().join("crates").join(crate_).join("src"));
        fail_on(crate_, &imports.faults(&rule));
    }
}

#[test]
fn each_promise_has_tests_and_each_test_that_the_page_names_exists() {
    let page = read(&root().join("docs/reference/contract.md"));
    let tests: BTreeSet<String> = rust_files(&root().join("crates"))
        .iter()
        .flat_map(|path| contract::tests_in(&read(path)))
        .collect();
    fail_on(
        "docs/reference/contract.md",
        &contract::faults(&page, &tests),
    );
}

#[test]
fn the_page_lists_every_log_event_and_every_metric() {
    let page = read(&root().join("docs/reference/observability.md"));
    let sources: Vec<String> = rust_files(&root().join("crates/keyfob/src"))
        .iter()
        .map(|path| folders::code_of(&read(path)))
        .collect();
    let events = sources.iter().flat_map(|source| events::events(source));
    let metrics = sources.iter().flat_map(|source| events::metrics(source));
    let faults = events::faults(&page, &events.collect(), &metrics.collect());
    fail_on("docs/reference/observability.md", &faults);
}

#[test]
fn each_file_that_a_page_names_exists() {
    for page in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        fail_on(
            page,
            &pages::missing_files(&read(&root().join(page)), root()),
        );
    }
}

#[test]
fn the_picture_of_the_architecture_is_drawn_from_its_source() {
    let source = read(&root().join("docs/architecture.dot"));
    let picture = read(&root().join("docs/architecture.svg"));
    assert!(
        picture.contains(&source),
        "docs/architecture.dot has changed: run `cargo xtask picture`"
    );
}

/// The Rust files below a folder, build output left out.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources can be listed") {
        let path = entry.expect("a folder of sources can be listed").path();
        if path.is_dir() && !path.ends_with("target") {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors()
        .nth(2)
        .expect("the crate is two folders below the root")
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}::{name}")
    }
}

#[track_caller]
fn fail_on(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}\n{}\n", faults.join("\n"));
}
