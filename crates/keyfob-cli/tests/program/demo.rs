//! `keyfob demo` keeps its promises.

use crate::keyfob::Keyfob;

#[test]
fn a_short_demo_keeps_every_promise_and_reports_it() {
    let done = Keyfob::new(["demo", "--seconds", "3"]).run();
    assert_eq!(done.code, 0, "{done:?}");
    for (row, figure) in [
        ("failures ", "0"),
        ("issuer calls per renewal ", "1"),
        ("requests delayed by a renewal ", "0"),
        ("unnecessary requests ", "0"),
    ] {
        assert_eq!(measured(&done.stdout, row), figure, "{done:?}");
    }
    for row in [
        "requests ",
        "renewals, ",
        "  of these before",
        "retries after a 503 ",
        "replays after a 401 ",
    ] {
        assert_ne!(measured(&done.stdout, row), "0", "{done:?}");
    }
    assert!(!done.stdout.contains("NOT KEPT"));
    // Plain lines, because standard error is not a terminal.
    assert!(
        done.stderr.lines().count() >= 3 && !done.stderr.contains('\u{1b}'),
        "{done:?}"
    );
}

#[test]
fn a_demo_of_less_than_three_seconds_is_refused() {
    let done = Keyfob::new(["demo", "--seconds", "2"]).run();
    assert_eq!(done.code, 2, "{done:?}");
}

/// The figure in the row with this start: the last column but one, before the promise.
fn measured<'a>(table: &'a str, row: &str) -> &'a str {
    let line = table.lines().find(|line| line.starts_with(row));
    let line = line.unwrap_or_else(|| panic!("no row `{row}` in:\n{table}"));
    line.split_whitespace().rev().nth(1).expect("a figure")
}
