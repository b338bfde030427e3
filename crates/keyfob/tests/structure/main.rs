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
    for (crate_, layers) in layered() {
        let modules = crate_.modules();
        fail_on(crate_.faults(|module, code| imports::faults(module, code, &layers, &modules)));
    }
}

#[test]
fn every_module_has_a_layer() {
    for (crate_, layers) in layered() {
        let homeless = crate_.modules().into_iter();
        fail_on(
            homeless
                .filter(|module| !layers.has(module))
                .map(|module| format!("`{module}` stands in no row of ARCHITECTURE.md"))
                .collect(),
        );
    }
}

#[test]
fn every_module_of_a_layer_exists() {
    for (crate_, layers) in layered() {
        let modules = crate_.modules();
        let gone = layers.named().into_iter();
        fail_on(
            gone.filter(|named| !modules.contains(named))
                .map(|module| format!("ARCHITECTURE.md names `{module}`, which has no file"))
                .collect(),
        );
    }
}

#[test]
fn the_style_holds_that_a_machine_can_check() {
    for (crate_, _) in layered() {
        fail_on(crate_.faults(|_, code| style::faults(code)));
    }
}

#[test]
fn each_promise_has_its_tests_and_the_page_names_none_that_are_gone() {
    let page = read(&crates().join("../docs/contract.md"));
    let mut tests = BTreeSet::new();
    take_tests(crates(), &mut tests);
    fail_on(contract::faults(&page, &tests));
}

/// The crates whose layers ARCHITECTURE.md has, each under a heading of its own.
fn layered() -> [(Crate, Layers); 2] {
    let page = read(&crates().join("../ARCHITECTURE.md"));
    [
        ("keyfob", "## Layers"),
        ("keyfob-python", "## The Python package"),
    ]
    .map(|(folder, heading)| {
        let layers = Layers::parse(&page, heading);
        let layers = layers.unwrap_or_else(|fault| panic!("ARCHITECTURE.md: {fault}"));
        (Crate::read(&crates().join(folder)), layers)
    })
}

/// The sources of a crate without its test code.
struct Crate {
    /// By module path; the crate root is "".
    files: BTreeMap<String, (PathBuf, Code)>,
}

impl Crate {
    fn read(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        read_folder(&folder.join("src"), "", &mut files);
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

    /// What `check` finds in each file, as `keyfob/src/file.rs:12: …`.
    fn faults(&self, check: impl Fn(&str, &Code) -> Vec<Fault>) -> Vec<String> {
        let mut lines = Vec::new();
        for (module, (path, code)) in &self.files {
            let path = path.strip_prefix(crates()).unwrap_or(path).display();
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

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn crates() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("all crates are in one folder")
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
