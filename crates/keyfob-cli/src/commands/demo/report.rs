//! Compares the measured figures with the promises.

use std::fmt::Write;

use keyfob::cache::Status;

use crate::commands::demo::servers::Servers;
use crate::commands::demo::workers::Counters;

/// The counts of the workers, of the servers and of the session.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    requests: u64,
    failures: u64,
    renewals: u64,
    failed_renewals: u64,
    ahead: u64,
    issuer_calls: u64,
    delayed: u64,
    responses: u64,
    unavailable: u64,
    unauthorized: u64,
}

/// One row of the table: a figure, and what it must be.
struct Row {
    what: &'static str,
    figure: String,
    promise: &'static str,
    kept: bool,
}

impl Figures {
    pub(super) fn read(status: &Status, servers: &Servers, counters: &Counters) -> Self {
        Self {
            requests: counters.requests(),
            failures: counters.failures(),
            renewals: status.renewals,
            failed_renewals: status.failures,
            ahead: servers.renewals_ahead(),
            issuer_calls: servers.issuer_calls(),
            delayed: status.delayed,
            responses: servers.responses(),
            unavailable: servers.responses_with(503),
            unauthorized: servers.responses_with(401),
        }
    }

    /// A table of all figures and promises.
    pub(super) fn table(&self) -> String {
        let mut table = format!("{:<42} {:>10}   promised\n", "", "measured");
        for row in self.rows() {
            let verdict = if row.kept { "" } else { "   NOT KEPT" };
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "{:<42} {:>10}   {}{verdict}",
                row.what, row.figure, row.promise
            );
        }
        table
    }

    /// The promises that were not kept, in one line.
    pub(super) fn broken_promises(&self) -> Option<String> {
        let broken: Vec<_> = self
            .rows()
            .into_iter()
            .filter(|row| !row.kept)
            .map(|row| format!("{} was {}, promised {}", row.what, row.figure, row.promise))
            .collect();
        (!broken.is_empty()).then(|| format!("not kept: {}", broken.join("; ")))
    }

    fn rows(&self) -> [Row; 9] {
        let none = |what, figure: u64| row(what, figure, "0", figure == 0);
        let some = |what, figure: u64| row(what, figure, "some", figure > 0);
        let necessary = self.requests + self.unavailable + self.unauthorized;
        [
            some("requests", self.requests),
            none("failures", self.failures),
            row(
                "renewals, the first token included",
                self.renewals,
                "some",
                self.renewals > 1,
            ),
            some("  of these before the token expired", self.ahead),
            Row {
                what: "issuer calls per renewal",
                figure: ratio(self.issuer_calls, self.renewals),
                promise: "1",
                kept: self.issuer_calls == self.renewals && self.failed_renewals == 0,
            },
            none("requests delayed by a renewal", self.delayed),
            some("retries after a 503", self.unavailable),
            some("replays after a 401", self.unauthorized),
            row(
                "unnecessary requests",
                self.responses.abs_diff(necessary),
                "0",
                self.responses == necessary,
            ),
        ]
    }
}

fn row(what: &'static str, figure: u64, promise: &'static str, kept: bool) -> Row {
    Row {
        what,
        figure: figure.to_string(),
        promise,
        kept,
    }
}

fn ratio(calls: u64, renewals: u64) -> String {
    match (calls, renewals) {
        (calls, renewals) if calls == renewals => "1".to_owned(),
        (calls, renewals) => format!("{calls}/{renewals}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Figures = Figures {
        requests: 100,
        failures: 0,
        renewals: 3,
        failed_renewals: 0,
        ahead: 1,
        issuer_calls: 3,
        delayed: 0,
        responses: 106,
        unavailable: 2,
        unauthorized: 4,
    };

    #[test]
    fn promises_that_were_kept_are_not_listed() {
        assert_eq!(GOOD.broken_promises(), None);
        assert!(!GOOD.table().contains("NOT KEPT"));
    }

    #[test]
    fn each_broken_promise_is_listed() {
        for (figures, name) in [
            (
                Figures {
                    requests: 0,
                    responses: 6,
                    ..GOOD
                },
                "requests was 0",
            ),
            (
                Figures {
                    failures: 1,
                    ..GOOD
                },
                "failures was 1",
            ),
            (
                Figures {
                    renewals: 1,
                    issuer_calls: 1,
                    ..GOOD
                },
                "renewals",
            ),
            (Figures { ahead: 0, ..GOOD }, "before the token expired"),
            (
                Figures {
                    issuer_calls: 4,
                    ..GOOD
                },
                "issuer calls per renewal was 4/3",
            ),
            (
                Figures {
                    issuer_calls: 2,
                    ..GOOD
                },
                "issuer calls per renewal was 2/3",
            ),
            (Figures { delayed: 1, ..GOOD }, "delayed"),
            (
                Figures {
                    unavailable: 0,
                    responses: 104,
                    ..GOOD
                },
                "503",
            ),
            (
                Figures {
                    unauthorized: 0,
                    responses: 102,
                    ..GOOD
                },
                "after a 401",
            ),
            (
                Figures {
                    responses: 107,
                    ..GOOD
                },
                "unnecessary requests was 1",
            ),
        ] {
            let broken = figures.broken_promises().expect(name);
            assert!(broken.contains(name), "{broken}");
            assert!(figures.table().contains("NOT KEPT"));
        }
    }
}
