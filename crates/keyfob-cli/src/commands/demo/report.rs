//! Compares both sides with what keyfob promises.

use std::fmt::Write;
use std::time::Instant;

use serde_json::{Value, json};

use crate::commands::demo::sides::{Counts, Side};

/// The final counts.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    plain: SideFigures,
    keyfob: SideFigures,
    ahead: u64,
}

#[derive(Clone, Debug)]
struct SideFigures {
    counts: Counts,
    delayed_by_expiry: u64,
    tokens_needed: u64,
    responses: u64,
    unavailable: u64,
    unauthorized: u64,
    sent_again: u64,
}

/// Whether a figure is as promised.
type Kept = fn(u64) -> bool;

/// One row of the table: the figures of both, and what keyfob promises.
struct Row {
    what: &'static str,
    plain: u64,
    keyfob: u64,
    promise: &'static str,
    kept: bool,
}

impl Figures {
    pub(super) fn read(plain: &Side, keyfob: &Side) -> Self {
        Self {
            plain: SideFigures::read(plain),
            keyfob: SideFigures::read(keyfob),
            ahead: keyfob.servers.renewals_ahead(),
        }
    }

    /// A table of all figures and promises.
    pub(super) fn table(&self) -> String {
        let mut table = format!(
            "\n{:<36}{:>7}{:>8}   keyfob promises\n",
            "", "plain", "keyfob"
        );
        for row in self.rows() {
            let verdict = if row.kept { "" } else { "   NOT KEPT" };
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "{:<36}{:>7}{:>8}   {}{verdict}",
                row.what, row.plain, row.keyfob, row.promise
            );
        }
        table
    }

    /// The promises that were not kept, in one line.
    pub(super) fn broken_promises(&self) -> Option<String> {
        let rows = self.rows().into_iter().filter(|row| !row.kept);
        let broken: Vec<_> = rows
            .map(|row| format!("{} was {}, promised {}", row.what, row.keyfob, row.promise))
            .collect();
        (!broken.is_empty()).then(|| format!("not kept: {}", broken.join("; ")))
    }

    fn rows(&self) -> [Row; 8] {
        let (plain, keyfob) = (&self.plain, &self.keyfob);
        let row = |what, of: fn(&SideFigures) -> u64, promise, kept: Kept| Row {
            what,
            plain: of(plain),
            keyfob: of(keyfob),
            promise,
            kept: kept(of(keyfob)),
        };
        let some: Kept = |count| count > 0;
        let none: Kept = |count| count == 0;
        [
            row(
                "requests",
                |side| side.counts.requests,
                "as many as the workers send",
                some,
            ),
            row(
                "failed",
                |side| side.counts.failed,
                "none, as long as tokens can be had",
                none,
            ),
            Row {
                kept: keyfob.delayed_by_expiry == 0,
                ..row(
                    "delayed, as they waited for a token",
                    |side| side.counts.delayed,
                    "only those whose token was revoked",
                    none,
                )
            },
            row(
                "sent again after a 503",
                |side| side.sent_again.min(side.unavailable),
                "each, since that is safe",
                some,
            ),
            row(
                "sent again after a 401",
                |side| side.sent_again.saturating_sub(side.unavailable),
                "each once, with a new token",
                some,
            ),
            Row {
                what: "tokens renewed before they expired",
                plain: 0,
                keyfob: self.ahead,
                promise: "each that was not revoked before",
                kept: self.ahead > 0,
            },
            Row {
                kept: keyfob.counts.issuer_calls == keyfob.tokens_needed
                    && keyfob.tokens_needed > 1,
                ..row(
                    "issuer calls",
                    |side| side.counts.issuer_calls,
                    "one for each token",
                    some,
                )
            },
            row(
                "sent without need",
                SideFigures::needless,
                "none, to the issuer or the API",
                none,
            ),
        ]
    }
}

impl SideFigures {
    fn read(side: &Side) -> Self {
        let counts = side.counts();
        let responses = side.servers.responses();
        Self {
            counts,
            delayed_by_expiry: side.delayed_by_expiry(),
            tokens_needed: side.tokens_needed(),
            responses,
            unavailable: side.servers.responses_with(503),
            unauthorized: side.servers.responses_with(401),
            sent_again: responses.saturating_sub(counts.requests),
        }
    }

    /// Calls to the issuer beyond one for each token, and requests to the API that no worker and no failure asked for.
    fn needless(&self) -> u64 {
        let needed = match self.sent_again {
            0 => self.counts.requests,
            _ => self.counts.requests + self.unavailable + self.unauthorized,
        };
        self.counts.issuer_calls.abs_diff(self.tokens_needed) + self.responses.abs_diff(needed)
    }
}

/// What happened in each tenth of a second, and how long each token lived, in seconds from the start.
pub(super) fn json(samples: &[[Counts; 2]], sides: [&Side; 2], start: Instant) -> String {
    let at = |time: Instant| match time.checked_duration_since(start) {
        Some(after) => after.as_secs_f64(),
        None => -start.duration_since(time).as_secs_f64(),
    };
    let side = |index: usize| -> Value {
        let samples: Vec<Value> = samples
            .iter()
            .map(|sample| {
                let counts = sample[index];
                json!([
                    counts.requests,
                    counts.failed,
                    counts.delayed,
                    counts.issuer_calls
                ])
            })
            .collect();
        let tokens: Vec<Value> = sides[index]
            .servers
            .lives()
            .iter()
            .map(|life| json!([at(life.from), at(life.until), life.is_revoked]))
            .collect();
        json!({"samples": samples, "tokens": tokens})
    };
    let data = json!({
        "sample": ["requests", "failed", "delayed", "issuer calls"],
        "token": ["from", "until", "revoked"],
        "plain": side(0),
        "keyfob": side(1),
    });
    format!("{data}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(requests: u64, issuer_calls: u64, tokens_needed: u64, sent_again: u64) -> SideFigures {
        SideFigures {
            counts: Counts {
                requests,
                failed: 0,
                delayed: 0,
                issuer_calls,
            },
            delayed_by_expiry: 0,
            tokens_needed,
            responses: requests + sent_again,
            unavailable: 2,
            unauthorized: 4,
            sent_again,
        }
    }

    fn good() -> Figures {
        Figures {
            plain: side(100, 48, 3, 0),
            keyfob: side(100, 3, 3, 6),
            ahead: 1,
        }
    }

    #[test]
    fn promises_that_were_kept_are_not_listed() {
        assert_eq!(good().broken_promises(), None);
        let table = good().table();
        assert!(!table.contains("NOT KEPT"), "{table}");
        assert!(
            table
                .lines()
                .any(|line| line.starts_with("sent without need") && line.contains(" 45 ")),
            "{table}"
        );
    }

    #[test]
    fn each_broken_promise_is_listed() {
        type Change = fn(&mut Figures);
        let changes: [(Change, &str); 9] = [
            (
                |figures| figures.keyfob.counts.requests = 0,
                "requests was 0",
            ),
            (|figures| figures.keyfob.counts.failed = 1, "failed was 1"),
            (|figures| figures.keyfob.delayed_by_expiry = 1, "delayed,"),
            (
                |figures| figures.keyfob.unavailable = 0,
                "after a 503 was 0",
            ),
            (|figures| figures.keyfob.sent_again = 2, "after a 401 was 0"),
            (|figures| figures.ahead = 0, "before they expired was 0"),
            (
                |figures| figures.keyfob.counts.issuer_calls = 4,
                "issuer calls was 4",
            ),
            (
                |figures| figures.keyfob.counts.issuer_calls = 2,
                "sent without need was 1",
            ),
            (
                |figures| figures.keyfob.responses = 107,
                "sent without need was 1",
            ),
        ];
        for (change, name) in changes {
            let mut figures = good();
            change(&mut figures);
            let broken = figures.broken_promises().expect(name);
            assert!(broken.contains(name), "{broken}");
            assert!(figures.table().contains("NOT KEPT"));
        }
    }
}
