//! Imports follow the layers.

use std::collections::BTreeSet;

use crate::code::{Code, Fault, Token, starts};
use crate::join;
use crate::layers::Layers;

/// Every path to another module of the crate, in a `use` or anywhere else, must point where the layers allow.
///
/// The crate root is exempt: it names everything, and nothing may name it.
pub(crate) fn faults(module: &str, code: &Code, layers: &Layers, modules: &[String]) -> Vec<Fault> {
    if module.is_empty() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (line, paths) in mentions(module, &code.tokens, modules) {
        let mut imported = BTreeSet::new();
        for path in paths {
            match owner(&path, modules) {
                Some(owner) => _ = imported.insert(owner),
                None => faults.push(Fault::new(
                    line,
                    format!("`crate::{}` is in no module", path.join("::")),
                )),
            }
        }
        if imported.len() > 1 {
            faults.push(Fault::new(line, "one module per line"));
        }
        faults.extend(
            imported
                .iter()
                .filter_map(|to| layers.objection(module, to))
                .map(|says| Fault::new(line, says)),
        );
    }
    faults
}

/// Each place that names another module: its line, and every path that it stands for, from the crate root.
fn mentions(module: &str, tokens: &[Token], modules: &[String]) -> Vec<(usize, Vec<Vec<String>>)> {
    let is_child = |name: &str| modules.contains(&join(module, name));
    let own = || module.split("::").map(str::to_owned).collect::<Vec<_>>();
    let mut mentions = Vec::new();
    for at in 0..tokens.len() {
        let rest = &tokens[at..];
        let is_start = at == 0 || tokens[at - 1].text != "::";
        let (prefix, tree) = match rest {
            [root, colons, tree @ ..] if root.text == "crate" && colons.text == "::" => {
                (Vec::new(), tree)
            }
            [own_name, colons, tree @ ..] if own_name.text == "self" && colons.text == "::" => {
                (own(), tree)
            }
            [child, colons, ..] if is_start && colons.text == "::" && is_child(&child.text) => {
                (own(), rest)
            }
            _ => continue,
        };
        let mut paths = Vec::new();
        expand(tree, prefix, &mut paths);
        mentions.push((rest[0].line, paths));
    }
    mentions
}

/// Adds every path of the use tree (or plain path) that `tokens` begin with; answers what follows it.
fn expand<'a>(
    tokens: &'a [Token],
    mut path: Vec<String>,
    paths: &mut Vec<Vec<String>>,
) -> &'a [Token] {
    let Some(first) = tokens.first() else {
        return tokens;
    };
    if first.text == "{" {
        let mut rest = &tokens[1..];
        while rest.first().is_some_and(|token| token.text != "}") {
            rest = expand(rest, path.clone(), paths);
            rest = &rest[rest
                .iter()
                .position(|token| matches!(token.text.as_str(), "," | "}"))
                .unwrap_or(rest.len())..];
            rest = if starts(rest, &[","]) {
                &rest[1..]
            } else {
                rest
            };
        }
        return rest.get(1..).unwrap_or_default();
    }
    if is_word(&first.text) {
        path.push(first.text.clone());
        if starts(&tokens[1..], &["::"]) {
            return expand(&tokens[2..], path, paths);
        }
    }
    paths.push(path);
    &tokens[1..]
}

/// The module that holds what `path` names: the longest beginning of it that is a module.
fn owner(path: &[String], modules: &[String]) -> Option<String> {
    (1..=path.len())
        .rev()
        .map(|length| path[..length].join("::"))
        .find(|module| modules.contains(module))
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
## Layers

| row | modules |
|---|---|
| 2 | `session` |
| 1 | `source::*`, `source` |
| 0 | `token`, `error` |
";

    fn import_faults(module: &str, text: &str) -> Vec<String> {
        let modules = [
            "session",
            "source",
            "source::file",
            "source::hook",
            "token",
            "error",
        ]
        .map(str::to_owned);
        let faults = faults(
            module,
            &Code::parse(text),
            &Layers::parse(PAGE, "## Layers").unwrap(),
            &modules,
        );
        faults
            .into_iter()
            .map(|fault| format!("{}: {}", fault.line, fault.says))
            .collect()
    }

    #[test]
    fn an_import_that_points_up_is_found_with_its_line() {
        let faults = import_faults("token", "use std::fmt;\nuse crate::session::Session;");
        assert_eq!(faults, ["2: `token` (row 0) looks up at `session` (row 2)"]);
    }

    #[test]
    fn an_import_that_points_down_is_fine() {
        assert!(
            import_faults(
                "session",
                "use crate::token::{Token, Expiry as E}; use crate::source::*;"
            )
            .is_empty()
        );
    }

    #[test]
    fn a_path_without_use_is_an_import_too() {
        assert_eq!(
            import_faults("token", "fn f(session: &crate::session::Session<'_>) {}").len(),
            1
        );
    }

    #[test]
    fn a_comment_is_not() {
        assert!(
            import_faults(
                "token",
                "/// See [`crate::session::Session`].\nstruct Token;"
            )
            .is_empty()
        );
    }

    #[test]
    fn the_longest_module_counts() {
        assert_eq!(
            import_faults("source::hook", "use crate::source::file::File;").len(),
            1
        );
        assert!(import_faults("source::hook", "use crate::source::TokenSource;").is_empty());
    }

    #[test]
    fn a_parent_names_no_child_in_any_spelling() {
        assert_eq!(import_faults("source", "use self::file::File;").len(), 1);
        assert_eq!(
            import_faults("source", "mod file; pub use file::File;").len(),
            1
        );
        assert!(import_faults("source", "use std::file::File;").is_empty());
    }

    #[test]
    fn one_line_imports_one_module() {
        let faults = import_faults(
            "session",
            "use crate::source::{TokenSource, file::{A, B}, hook};",
        );
        assert_eq!(faults, ["1: one module per line"]);
    }

    #[test]
    fn the_crate_root_is_not_imported() {
        assert_eq!(
            import_faults("session", "use crate::Error;"),
            ["1: `crate::Error` is in no module"]
        );
    }

    #[test]
    fn the_crate_root_imports_what_it_likes() {
        assert!(
            import_faults("", "pub use crate::session::Session; pub use token::Token;").is_empty()
        );
    }

    #[test]
    fn test_code_imports_what_it_likes() {
        assert!(
            import_faults(
                "token",
                "#[cfg(test)] mod tests { use crate::session::Session; }"
            )
            .is_empty()
        );
    }
}
