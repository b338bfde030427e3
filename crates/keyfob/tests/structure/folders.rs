//! The folder rule: which folder of a crate may import which.
//!
//! ARCHITECTURE.md lists the folders of each crate from the top. A folder imports only those below it, and no two files of
//! a folder import each other, not even through a third. Test code may import anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::{join, read, rust_files};

/// The folders of one crate, from the top; those on one line do not import each other.
pub(crate) struct Rule(Vec<Vec<String>>);

impl Rule {
    /// Reads the code block of the page that follows the line `lead_in`. `#` begins a remark.
    pub(crate) fn parse(page: &str, lead_in: &str) -> Option<Self> {
        let (_, rest) = page.split_once(&format!("\n{lead_in}\n\n```text\n"))?;
        let (block, _) = rest.split_once("\n```")?;
        let names = |line: &str| {
            let line = line.split('#').next().unwrap_or_default();
            line.split_whitespace().map(str::to_owned).collect()
        };
        Some(Self(block.lines().map(names).collect()))
    }

    fn level(&self, folder: &str) -> Option<usize> {
        self.0
            .iter()
            .position(|names| names.iter().any(|name| name == folder))
    }
}

/// The imports of a crate's files, by module path. The crate root and the indexes (`mod.rs`) are left out: they only list.
pub(crate) struct Imports {
    modules: BTreeSet<String>,
    indexes: BTreeSet<String>,
    by_file: BTreeMap<String, BTreeSet<String>>,
    faults: Vec<String>,
}

impl Imports {
    /// Reads a crate's `src` folder.
    pub(crate) fn read(src: &Path) -> Self {
        let mut sources = BTreeMap::new();
        let mut indexes = BTreeSet::new();
        for path in rust_files(src) {
            let inner = path
                .strip_prefix(src)
                .expect("the file is below the folder");
            let module = inner
                .with_extension("")
                .to_string_lossy()
                .replace('/', "::");
            match module
                .strip_suffix("mod")
                .map(|folder| folder.trim_end_matches("::"))
            {
                Some(folder) if inner.ends_with("mod.rs") => _ = indexes.insert(folder.to_owned()),
                _ if matches!(module.as_str(), "lib" | "main") => {}
                _ => _ = sources.insert(module, code_of(&read(&path))),
            }
        }
        // A file that is declared under `cfg(test)` holds tests only.
        let tests: BTreeSet<String> = rust_files(src)
            .iter()
            .flat_map(|path| {
                let inner = path
                    .strip_prefix(src)
                    .expect("the file is below the folder");
                let folder = match inner.file_name().and_then(|name| name.to_str()) {
                    Some("mod.rs" | "lib.rs" | "main.rs") => inner.parent().unwrap_or(inner),
                    _ => &inner.with_extension(""),
                };
                let folder = folder.to_string_lossy().replace('/', "::");
                test_modules(&read(path))
                    .into_iter()
                    .map(move |name| join(&folder, &name))
            })
            .collect();
        sources.retain(|module, _| !tests.contains(module));
        let modules: BTreeSet<String> = sources.keys().cloned().collect();
        let mut imports = Self {
            modules,
            indexes,
            by_file: BTreeMap::new(),
            faults: Vec::new(),
        };
        for (module, code) in &sources {
            imports.add(module, code);
        }
        imports
    }

    fn add(&mut self, module: &str, code: &str) {
        // An inline module may import from its own file.
        let inline =
            |line: &&str| line.starts_with(' ') && line.trim_start().starts_with("use super::");
        if code
            .lines()
            .filter(|line| !inline(line))
            .any(|line| line.contains("super::"))
        {
            self.faults.push(format!(
                "`{module}` has `super::`: write the path from `crate::`"
            ));
        }
        let mut imported = BTreeSet::new();
        for path in crate_paths(code) {
            match self.owner(&path) {
                Some(owner) if owner != module => _ = imported.insert(owner),
                Some(_) => {}
                None if self
                    .indexes
                    .iter()
                    .any(|index| path.starts_with(index.as_str())) =>
                {
                    self.faults.push(format!(
                        "`{module}` imports `{path}` from an index: name the file that defines it"
                    ));
                }
                None => self
                    .faults
                    .push(format!("`{module}` imports `{path}`, which is no file")),
            }
        }
        self.by_file.insert(module.to_owned(), imported);
    }

    /// The file that defines what the path names: the longest beginning of it that is a module.
    fn owner(&self, path: &str) -> Option<String> {
        let ends = path
            .match_indices("::")
            .map(|(at, _)| at)
            .chain([path.len()]);
        let mut beginnings: Vec<&str> = ends.map(|end| &path[..end]).collect();
        beginnings.reverse();
        beginnings
            .into_iter()
            .find(|beginning| self.modules.contains(*beginning))
            .map(str::to_owned)
    }

    /// Every breach of the rule.
    pub(crate) fn faults(&self, rule: &Rule) -> Vec<String> {
        let mut faults = self.faults.clone();
        let folders: BTreeSet<&str> = self.modules.iter().map(|module| folder(module)).collect();
        for name in rule.0.iter().flatten() {
            if !folders.contains(name.as_str()) {
                faults.push(format!("the rule names `{name}`, which is no folder"));
            }
        }
        faults.extend(
            folders
                .iter()
                .filter(|folder| rule.level(folder).is_none())
                .map(|folder| format!("the rule does not name `{folder}`")),
        );
        for (from, imported) in &self.by_file {
            for to in imported.iter().filter(|to| folder(to) != folder(from)) {
                if rule.level(folder(to)) <= rule.level(folder(from)) {
                    faults.push(format!("`{from}` imports `{to}`, which is not below it"));
                }
            }
        }
        faults.extend(
            self.circle()
                .map(|circle| format!("a circle: {}", circle.join(" → "))),
        );
        faults
    }

    /// Files that import each other in turn, if there are any.
    fn circle(&self) -> Option<Vec<String>> {
        let mut done = BTreeSet::new();
        self.modules
            .iter()
            .find_map(|module| self.circle_from(module, &mut Vec::new(), &mut done))
    }

    fn circle_from<'a>(
        &'a self,
        module: &'a String,
        path: &mut Vec<&'a String>,
        done: &mut BTreeSet<&'a String>,
    ) -> Option<Vec<String>> {
        if let Some(start) = path.iter().position(|seen| *seen == module) {
            let circle = path[start..].iter().copied().chain([module]);
            return Some(circle.cloned().collect());
        }
        if done.contains(module) {
            return None;
        }
        path.push(module);
        for next in self.by_file.get(module).into_iter().flatten() {
            if let Some(circle) = self.circle_from(next, path, done) {
                return Some(circle);
            }
        }
        path.pop();
        done.insert(module);
        None
    }
}

/// The top folder of a module, or the module itself where it is a file at the top.
fn folder(module: &str) -> &str {
    module.split("::").next().unwrap_or(module)
}

/// A file's text without comments and without its test module, which is its last item.
pub(crate) fn code_of(text: &str) -> String {
    let mut lines = Vec::new();
    let mut rest = text.lines().peekable();
    while let Some(line) = rest.next() {
        let is_test_module = line.trim() == "#[cfg(test)]"
            && rest
                .peek()
                .is_some_and(|next| next.contains("mod ") && next.ends_with('{'));
        if is_test_module {
            break;
        }
        if !line.trim_start().starts_with("//") {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// The modules that a file declares for tests only.
fn test_modules(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[cfg(") {
            is_test |= line.contains("test") && !line.contains("not(test)");
            continue;
        }
        if let Some((_, name)) = line
            .strip_suffix(';')
            .and_then(|line| line.split_once("mod "))
            && is_test
        {
            names.push(name.to_owned());
        }
        is_test = false;
    }
    names
}

/// Every path that begins with `crate::`, without that beginning, and each name of a brace by itself.
fn crate_paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // `pub(in crate::…)` is a visibility.
        if code[..at].ends_with("in ") {
            continue;
        }
        expand(String::new(), &code[at + "crate::".len()..], &mut paths);
    }
    paths
}

/// Adds the paths that `text` begins with, each after `prefix`; returns the text after them.
fn expand<'a>(prefix: String, text: &'a str, paths: &mut Vec<String>) -> &'a str {
    if let Some(mut inside) = text.strip_prefix('{') {
        loop {
            inside = inside.trim_start_matches([',', ' ', '\n']);
            match inside.strip_prefix('}') {
                Some(rest) => return rest,
                None if inside.is_empty() => return inside,
                None => inside = expand(prefix.clone(), inside, paths),
            }
        }
    }
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let path = join(&prefix, name);
    if let Some(rest) = rest.strip_prefix("::") {
        return expand(path, rest, paths);
    }
    paths.push(path);
    // A name after `as` is not a path of its own.
    let end = rest.find([',', '}', ';', '\n']).unwrap_or(0);
    if rest.starts_with(" as ") {
        &rest[end..]
    } else {
        rest.get(usize::from(name.is_empty())..).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "\n# Page\n\nFrom the top:\n\n```text\nclient   # sends\ncache source\ntoken\n```\n";

    fn rule() -> Rule {
        Rule::parse(PAGE, "From the top:").unwrap()
    }

    /// The faults of a crate with these files.
    fn faults(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let rest = [
            ("client/send.rs", ""),
            ("cache/read.rs", ""),
            ("source/env.rs", ""),
            ("token/token.rs", ""),
        ];
        for (path, text) in rest.iter().chain(files) {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Imports::read(folder.path()).faults(&rule())
    }

    #[test]
    fn an_import_from_below_is_allowed() {
        let text =
            "use crate::cache::read::{Read, Other as O};\nfn f(t: crate::token::token::Token) {}";
        assert_eq!(faults(&[("client/send.rs", text)]), [""; 0]);
    }

    #[test]
    fn an_import_from_above_or_from_the_same_line_is_a_fault() {
        let up = faults(&[("token/token.rs", "use crate::client::send::Send;")]);
        assert_eq!(
            up,
            ["`token::token` imports `client::send`, which is not below it"]
        );
        let beside = faults(&[("cache/read.rs", "use crate::source::env;")]);
        assert_eq!(
            beside,
            ["`cache::read` imports `source::env`, which is not below it"]
        );
    }

    #[test]
    fn files_of_a_folder_do_not_import_each_other_in_a_circle() {
        let found = faults(&[
            ("client/a.rs", "use crate::client::b::B;"),
            ("client/b.rs", "use crate::client::c::{C, D};"),
            ("client/c.rs", "use crate::client::{a::A, send};"),
        ]);
        assert_eq!(
            found,
            ["a circle: client::a → client::b → client::c → client::a"]
        );
    }

    #[test]
    fn a_path_names_the_file_and_not_the_index() {
        let index = ("token/mod.rs", "pub use crate::token::token::Token;");
        let found = faults(&[index, ("cache/read.rs", "use crate::token::Token;")]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("from an index"), "{found:?}");
    }

    #[test]
    fn a_folder_that_the_rule_does_not_name_is_found() {
        assert_eq!(
            faults(&[("other.rs", "")]),
            ["the rule does not name `other`"]
        );
    }

    #[test]
    fn tests_and_comments_import_what_they_like() {
        let up = "/// See [`crate::client::send`].\n#[cfg(test)]\nmod tests {\n    use crate::client::send::X;\n}\n";
        assert_eq!(faults(&[("token/token.rs", up)]), [""; 0]);
        let declared = ("token/token.rs", "#[cfg(test)]\nmod cases;\n");
        let cases = ("token/token/cases.rs", "use crate::client::send::X;");
        assert_eq!(faults(&[declared, cases]), [""; 0]);
    }

    #[test]
    fn super_is_refused() {
        assert_eq!(faults(&[("cache/read.rs", "use super::Token;")]).len(), 1);
        let inline = "mod blocking {\n    use super::Token;\n}";
        assert_eq!(faults(&[("cache/read.rs", inline)]), [""; 0]);
    }
}
