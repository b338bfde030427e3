//! The structure of the sources: imports follow the layers of ARCHITECTURE.md, style rules that a machine can check hold, and
//! docs/contract.md names tests that exist.

mod code;
mod contract;
mod imports;
mod layers;
mod style;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::code::{Code, Fault};
use crate::layers::Layers;

#[test]
fn imports_point_down_the_layers() {
    let crate_ = Crate::read();
    let layers = layers();
    fail_on(
        crate_.faults(|module, code| imports::faults(module, code, &layers, &crate_.modules())),
    );
}

#[test]
fn every_module_has_a_layer() {
    let layers = layers();
    let homeless = Crate::read()
        .modules()
        .into_iter()
        .filter(|module| !layers.has(module));
    fail_on(
        homeless
            .map(|module| format!("`{module}` stands in no row of ARCHITECTURE.md"))
            .collect(),
    );
}

#[test]
fn every_module_of_a_layer_exists() {
    let modules = Crate::read().modules();
    let gone = layers()
        .named()
        .into_iter()
        .filter(|named| !modules.contains(named));
    fail_on(
        gone.map(|module| format!("ARCHITECTURE.md names `{module}`, which has no file"))
            .collect(),
    );
}

#[test]
fn the_style_holds_that_a_machine_can_check() {
    fail_on(Crate::read().faults(|_, code| style::faults(code)));
}

#[test]
fn each_promise_has_its_tests_and_the_page_names_none_that_are_gone() {
    let page = read(&root().join("../../docs/contract.md"));
    let mut tests = BTreeSet::new();
    take_tests(&root().join("../../crates"), &mut tests);
    fail_on(contract::faults(&page, &tests));
}

/// The sources of the library without its test code.
struct Crate {
    /// By module path; the crate root is "".
    files: BTreeMap<String, (PathBuf, Code)>,
}

impl Crate {
    fn read() -> Self {
        let mut files = BTreeMap::new();
        read_folder(&root().join("src"), "", &mut files);
        // A file that its parent declares under `cfg(test)` is test code as a whole.
        let tests: Vec<String> = files
            .iter()
            .flat_map(|(module, (_, code))| {
                code.test_modules.iter().map(move |name| join(module, name))
            })
            .collect();
        files.retain(|module, _| {
            !tests
                .iter()
                .any(|test| module == test || module.starts_with(&join(test, "")))
        });
        Self { files }
    }

    fn modules(&self) -> Vec<String> {
        self.files
            .keys()
            .filter(|module| !module.is_empty())
            .cloned()
            .collect()
    }

    /// What `check` finds in each file, as `src/file.rs:12: …`.
    fn faults(&self, check: impl Fn(&str, &Code) -> Vec<Fault>) -> Vec<String> {
        let mut lines = Vec::new();
        for (module, (path, code)) in &self.files {
            let path = path.strip_prefix(root()).unwrap_or(path).display();
            lines.extend(
                check(module, code)
                    .into_iter()
                    .map(|fault| format!("{path}:{}: {}", fault.line, fault.says)),
            );
        }
        lines
    }
}

fn read_folder(folder: &Path, parent: &str, files: &mut BTreeMap<String, (PathBuf, Code)>) {
    for entry in fs::read_dir(folder).expect("a folder of sources can be listed") {
        let path = entry.expect("a folder of sources can be listed").path();
        let name = path
            .file_stem()
            .and_then(OsStr::to_str)
            .expect("module names are Unicode");
        let module = if matches!(name, "lib" | "mod") {
            parent.to_owned()
        } else {
            join(parent, name)
        };
        if path.is_dir() {
            read_folder(&path, &module, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let code = Code::parse(&read(&path));
            files.insert(module, (path, code));
        }
    }
}

/// The names of all tests in the Rust files below a folder.
fn take_tests(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources can be listed") {
        let path = entry.expect("a folder of sources can be listed").path();
        if path.is_dir() {
            take_tests(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            tests.extend(contract::tests_in(&read(&path)));
        }
    }
}

fn layers() -> Layers {
    let page = read(&root().join("../../ARCHITECTURE.md"));
    Layers::parse(&page, "## Layers").unwrap_or_else(|fault| panic!("ARCHITECTURE.md: {fault}"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}::{name}")
    }
}

#[track_caller]
fn fail_on(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
