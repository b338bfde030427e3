//! docs/reference/features.md lists the features of the library, and no other.

use std::collections::BTreeSet;

use crate::{read, root};

#[test]
fn the_page_lists_every_feature_and_whether_it_is_a_default() {
    let manifest = read(&root().join("crates/keyfob/Cargo.toml"));
    let features = manifest.split_once("\n[features]\n").expect("features").1;
    let features = features.split("\n[").next().unwrap_or(features);
    let declared = features.lines().filter(|line| !line.starts_with('#'));
    let mut declared: BTreeSet<&str> = declared
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .collect();
    declared.remove("default");
    let defaults = features.lines().find(|line| line.starts_with("default = "));
    let defaults: BTreeSet<&str> = defaults
        .expect("defaults")
        .split('"')
        .skip(1)
        .step_by(2)
        .collect();

    let page = read(&root().join("docs/reference/features.md"));
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').skip(1).collect())
        .collect();
    let listed = |wanted: fn(&str) -> bool| -> BTreeSet<&str> {
        let rows = rows.iter().filter(|row| wanted(row[1].trim()));
        rows.flat_map(|row| row[0].split('`').skip(1).step_by(2))
            .collect()
    };
    assert_eq!(listed(|_| true), declared);
    assert_eq!(listed(|default| default == "yes"), defaults);
}
