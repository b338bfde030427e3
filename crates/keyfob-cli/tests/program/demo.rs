//! `keyfob demo` keeps its promises.

use crate::keyfob::Keyfob;

#[test]
fn a_short_demo_keeps_every_promise_and_shows_it() {
    let done = Keyfob::new(["demo", "--seconds", "3"]).run();
    assert_eq!(done.code, 0, "{done:?}");
    for (row, figure) in [
        ("failures ", "0"),
        ("issuer calls per renewal ", "1"),
        ("requests delayed by a renewal ", "0"),
        ("requests sent without need ", "0"),
    ] {
        assert_eq!(measured(&done.stdout, row), figure, "{done:?}");
    }
    for row in [
        "requests ",
        "renewals, ",
        "  of these ahead",
        "retries after a 503 ",
        "401s healed ",
    ] {
        assert_ne!(measured(&done.stdout, row), "0", "{done:?}");
    }
    assert!(!done.stdout.contains("NOT KEPT"));
    // Plain lines, as it is no terminal.
    assert!(
        done.stderr.lines().count() >= 3 && !done.stderr.contains('\u{1b}'),
        "{done:?}"
    );
}

#[test]
fn a_demo_is_not_too_short_to_show_anything() {
    let done = Keyfob::new(["demo", "--seconds", "2"]).run();
    assert_eq!(done.code, 2, "{done:?}");
}

/// The figure of the row that starts so: the last column but one, before what is promised.
fn measured<'a>(table: &'a str, row: &str) -> &'a str {
    let line = table.lines().find(|line| line.starts_with(row));
    let line = line.unwrap_or_else(|| panic!("no row `{row}` in:\n{table}"));
    line.split_whitespace().rev().nth(1).expect("a figure")
}
