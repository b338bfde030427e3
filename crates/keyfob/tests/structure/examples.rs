//! Each public item of the library has an example in its documentation, or a link to where one is.

use std::collections::BTreeSet;

use crate::{fail_on, read, root, rust_files};

#[test]
fn each_public_item_has_an_example_or_a_link_to_one() {
    let sources = rust_files(&root().join("crates/keyfob/src"));
    let sources: Vec<(String, String)> = sources
        .iter()
        // The proxy is described as a whole, in its module.
        .filter(|path| !path.to_string_lossy().contains("client/proxy/"))
        .map(|path| (path.display().to_string(), read(path)))
        .collect();
    let exports = sources
        .iter()
        .filter(|(path, _)| path.ends_with("mod.rs") || path.ends_with("lib.rs"));
    let public: BTreeSet<&str> = exports.flat_map(|(_, text)| exported(text)).collect();
    let bare = sources.iter().flat_map(|(path, text)| {
        let bare = bare_items(text)
            .into_iter()
            .filter(|name| public.contains(name));
        bare.map(move |name| format!("{path}: `{name}` has neither an example nor a link"))
    });
    fail_on("public items", &bare.collect::<Vec<_>>());
}

/// The names that `pub use` makes public.
fn exported(text: &str) -> Vec<&str> {
    let uses = text.split("\npub use ").skip(1);
    let uses = uses.filter_map(|rest| rest.split(';').next());
    uses.flat_map(|path| path.split(|letter: char| !letter.is_alphanumeric() && letter != '_'))
        .collect()
}

/// The items whose documentation has no example and no link.
fn bare_items(text: &str) -> Vec<&str> {
    let mut bare = Vec::new();
    let mut has_example = false;
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("///") {
            has_example |=
                comment.contains("```") || comment.contains("](") || comment.contains("[`");
        } else if let Some(item) = line.strip_prefix("pub ") {
            let mut words = item.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let kind = words.next().unwrap_or_default();
            if ["struct", "enum", "trait", "fn"].contains(&kind) && !has_example {
                bare.extend(words.next());
            }
            has_example = false;
        } else if line.is_empty() || line == "}" {
            has_example = false;
        }
    }
    bare
}

#[test]
fn an_item_without_an_example_and_without_a_link_is_found() {
    let text = "/// See [`B`].\n#[derive(Debug)]\npub struct A;\n\n/// B.\npub enum B {\n    /// ```\n    X,\n}\n\npub fn c() {}\n";
    assert_eq!(bare_items(text), ["B", "c"]);
    let names = exported("x\npub use crate::a::{A, b::B};\n");
    assert!(names.contains(&"A") && names.contains(&"B") && !names.contains(&"x"));
}
