//! The profile files in docs/ are valid.

use std::fs;
use std::path::{Path, PathBuf};

use keyfob::Profiles;

#[test]
fn each_profile_file_in_the_documentation_is_valid() {
    let mut seen = 0;
    for path in pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")) {
        let page = fs::read_to_string(&path).expect("a page can be read");
        let examples = examples(&page);
        let examples = examples.filter(|example| example.contains("[profiles."));
        // Profiles of one section there may refer to each other: the test below reads them.
        for text in examples.filter(|_| !path.ends_with("how-to/platforms.md")) {
            let profiles = Profiles::from_text(text);
            let profiles =
                profiles.unwrap_or_else(|error| panic!("{}: {error}\n{text}", path.display()));
            assert!(profiles.iter().count() > 0, "{text}");
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} examples");
}

#[test]
fn the_profiles_of_each_section_on_platforms_are_valid() {
    let page = include_str!("../../../../docs/how-to/platforms.md");
    for section in page.split("\n## ") {
        // One profile of a section may refer to another one.
        let text = examples(section).collect::<Vec<_>>().concat();
        Profiles::from_text(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

/// The blocks of TOML of a page.
fn examples(page: &str) -> impl Iterator<Item = &str> {
    let blocks = page.split("```toml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default())
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("docs can be listed") {
        let path = entry.expect("docs can be listed").path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}
