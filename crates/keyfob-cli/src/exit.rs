//! How the program ends: the codes that scripts can rely on.

use std::fmt::Write;
use std::process::ExitCode;

/// An exit code. Those that curl has too have curl's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    NoToken = 3,
    Origin = 4,
    CutShort = 18,
    Status = 22,
    TimedOut = 28,
    HungUp = 129,
    Interrupted = 130,
    Terminated = 143,
}

impl Exit {
    const ALL: [Self; 11] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NoToken,
        Self::Origin,
        Self::CutShort,
        Self::Status,
        Self::TimedOut,
        Self::HungUp,
        Self::Interrupted,
        Self::Terminated,
    ];

    fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done; without --fail, whatever the server's status",
            Self::Failed => "no connection, a broken one, or a file that cannot be read or written",
            Self::Usage => "an argument or setting cannot be used",
            Self::NoToken => "no valid token was to be had; nothing was sent",
            Self::Origin => "the token may not go there; nothing was sent",
            Self::CutShort => "the answer was cut short; with --output, no file was written",
            Self::Status => "with --fail: the server answered with a status of 400 or more",
            Self::TimedOut => "the time was over, of --timeout or of the default limits",
            Self::HungUp => "ended by SIGHUP",
            Self::Interrupted => "ended by SIGINT",
            Self::Terminated => "ended by SIGTERM",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The codes and their meanings, for help and manual.
pub(crate) fn table() -> String {
    Exit::ALL
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
        let readme = include_str!("../README.md");
        for exit in Exit::ALL {
            let row = format!("| {} | {} |", exit as u8, exit.meaning());
            assert!(readme.contains(&row), "README.md lacks: {row}");
        }
    }
}
