//! `keyfob demo` compares a plain client with keyfob, which keeps its promises.

use crate::keyfob::Keyfob;

#[test]
fn a_short_demo_keeps_every_promise_and_reports_it() {
    // It runs where no certificate authority is installed.
    let done = Keyfob::new(["demo", "--seconds", "3"])
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent")
        .run();
    assert_eq!(done.code, 0, "{done:?}");
    for row in ["failed", "sent without need"] {
        assert_eq!(measured(&done.stdout, row)[1], 0, "{done:?}");
    }
    assert!(measured(&done.stdout, "failed")[0] > 0, "{done:?}");
    for row in [
        "requests",
        "sent again after a 503",
        "sent again after a 401",
        "tokens renewed before they expired",
        "issuer calls",
    ] {
        assert_ne!(measured(&done.stdout, row)[1], 0, "{done:?}");
    }
    assert!(!done.stdout.contains("NOT KEPT"));
    assert!(!done.stderr.contains('\u{1b}'), "{done:?}");
}

#[test]
fn the_lines_of_the_seconds_add_up_to_the_table() {
    let done = Keyfob::new(["demo", "--seconds", "4", "--workers", "4"]).run();
    // On a busy machine a promise about delays may not be kept, which has a line of its own. Here only the sums matter.
    let samples = done.stderr.lines().skip(2);
    let lines: Vec<&str> = samples
        .filter(|line| !line.starts_with("keyfob: not kept"))
        .collect();
    assert_eq!(lines.len(), 8, "{done:?}");
    for (side, name) in ["plain", "keyfob"].into_iter().enumerate() {
        let of_side = lines.iter().skip(side).step_by(2);
        let counts: Vec<Vec<u64>> = of_side
            .map(|line| {
                let (_, counts) = line.split_once(name).expect("the sides take turns");
                counts
                    .split_whitespace()
                    .map(|count| count.parse().expect("a count"))
                    .collect()
            })
            .collect();
        let sum = |column: usize| counts.iter().map(|counts| counts[column]).sum::<u64>();
        assert_eq!(sum(0), measured(&done.stdout, "requests")[side], "{done:?}");
        assert_eq!(sum(1), measured(&done.stdout, "failed")[side], "{done:?}");
        assert_eq!(
            sum(2),
            measured(&done.stdout, "delayed, as they waited for a token")[side],
            "{done:?}"
        );
        // The first token came before the first second.
        assert_eq!(
            sum(3) + 1,
            measured(&done.stdout, "issuer calls")[side],
            "{done:?}"
        );
    }
}

#[test]
fn a_demo_of_less_than_three_seconds_is_refused() {
    let done = Keyfob::new(["demo", "--seconds", "2"]).run();
    assert_eq!(done.code, 2, "{done:?}");
}

/// The figures of both sides in the row with this start.
fn measured(table: &str, row: &str) -> [u64; 2] {
    let rest = table.lines().find_map(|line| line.strip_prefix(row));
    let rest = rest.unwrap_or_else(|| panic!("no row `{row}` in:\n{table}"));
    let mut figures = rest
        .split_whitespace()
        .map(|figure| figure.parse().expect("a figure"));
    [0, 1].map(|_| figures.next().expect("two figures"))
}
