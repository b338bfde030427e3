//! The exit codes that scripts can rely on.

use std::fmt::Write;
use std::process;

/// An exit code. Where curl has a code for the same case, the number is curl's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitCode {
    Done = 0,
    Failed = 1,
    Usage = 2,
    NoToken = 3,
    Origin = 4,
    CutShort = 18,
    Status = 22,
    TimedOut = 28,
    Redirects = 47,
    HungUp = 129,
    Interrupted = 130,
    Terminated = 143,
}

impl ExitCode {
    const ALL: [Self; 12] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NoToken,
        Self::Origin,
        Self::CutShort,
        Self::Status,
        Self::TimedOut,
        Self::Redirects,
        Self::HungUp,
        Self::Interrupted,
        Self::Terminated,
    ];

    fn meaning(self) -> &'static str {
        match self {
            Self::Done => "success; without --fail, whatever the status of the response",
            Self::Failed => "the connection failed or broke, or a file cannot be read or written",
            Self::Usage => "an argument or a setting cannot be used",
            Self::NoToken => "no valid token could be obtained; nothing was sent",
            Self::Origin => "the token is not for this server; nothing was sent",
            Self::CutShort => "the response was cut short; with --output, no file was written",
            Self::Status => "with --fail: the response has a status of 400 or more",
            Self::TimedOut => "a timeout expired: that of --timeout, or a default one",
            Self::Redirects => "the server redirects more often than --max-redirects allows",
            Self::HungUp => "ended by SIGHUP",
            Self::Interrupted => "ended by SIGINT",
            Self::Terminated => "ended by SIGTERM",
        }
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(exit: ExitCode) -> Self {
        Self::from(exit as u8)
    }
}

/// The codes and their meanings, for the help and the manual pages.
pub(crate) fn table() -> String {
    ExitCode::ALL
        .iter()
        .fold(String::from("Exit codes:\n"), |mut table, exit| {
            // Writing to a string cannot fail.
            let _ = writeln!(table, "  {:3}  {}", *exit as u8, exit.meaning());
            table
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_the_same_codes() {
        let readme = include_str!("../../README.md");
        for exit in ExitCode::ALL {
            let row = format!("| {} | {} |", exit as u8, exit.meaning());
            assert!(readme.contains(&row), "README.md lacks: {row}");
        }
    }
}
