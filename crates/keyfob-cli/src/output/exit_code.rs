//! The exit codes that scripts can rely on.

use std::fmt::Write;
use std::process;

/// An exit code. Where curl has a code for the same case, the number is curl's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    Done,
    Failed,
    Usage,
    NoToken,
    Origin,
    UnresolvedProxy,
    Unresolved,
    Unconnected,
    CutShort,
    Status,
    Unwritable,
    Unreadable,
    TimedOut,
    NotContinued,
    Handshake,
    Redirects,
    NoResponse,
    Broken,
    Certificate,
    NotExecutable,
    NotFound,
    HungUp,
    Interrupted,
    Terminated,
    /// That of the program that keyfob ran.
    OfProgram(u8),
    /// For a program that this signal ended.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has signals"))]
    KilledProgram(i32),
}

impl ExitCode {
    const ALL: [Self; 24] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NoToken,
        Self::Origin,
        Self::UnresolvedProxy,
        Self::Unresolved,
        Self::Unconnected,
        Self::CutShort,
        Self::Status,
        Self::Unwritable,
        Self::Unreadable,
        Self::TimedOut,
        Self::NotContinued,
        Self::Handshake,
        Self::Redirects,
        Self::NoResponse,
        Self::Broken,
        Self::Certificate,
        Self::NotExecutable,
        Self::NotFound,
        Self::HungUp,
        Self::Interrupted,
        Self::Terminated,
    ];

    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoToken => 3,
            Self::Origin => 4,
            Self::UnresolvedProxy => 5,
            Self::Unresolved => 6,
            Self::Unconnected => 7,
            Self::CutShort => 18,
            Self::Status => 22,
            Self::Unwritable => 23,
            Self::Unreadable => 26,
            Self::TimedOut => 28,
            Self::NotContinued => 33,
            Self::Handshake => 35,
            Self::Redirects => 47,
            Self::NoResponse => 52,
            Self::Broken => 56,
            Self::Certificate => 60,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
            Self::HungUp => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::OfProgram(code) => code,
            // As shells report it.
            Self::KilledProgram(signal) => (128 + signal) as u8,
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Done => "success; without --fail, whatever the status of the response",
            Self::Failed => "another failure, such as a response that is not HTTP",
            Self::Usage => "an argument or a setting cannot be used",
            Self::NoToken => "no valid token could be obtained; nothing was sent",
            Self::Origin => "the token is not for this server; nothing was sent",
            Self::UnresolvedProxy => "the name of the proxy cannot be resolved to an address",
            Self::Unresolved => "the name of the server cannot be resolved to an address",
            Self::Unconnected => "there is no connection to the server, as when it is refused",
            Self::CutShort => "the response was cut short; with --output, no file was written",
            Self::Status => "with --fail: the response has a status of 400 or more",
            Self::Unwritable => "the output cannot be written",
            Self::Unreadable => "a file to send cannot be read",
            Self::TimedOut => "a timeout expired: that of --timeout, or a default one",
            Self::NotContinued => {
                "the server sent another part than the one that --continue-at asked for"
            }
            Self::Handshake => {
                "the TLS handshake failed, but not because of the server's certificate"
            }
            Self::Redirects => "the server redirects more often than --max-redirects allows",
            Self::NoResponse => "the server closed the connection without a response",
            Self::Broken => {
                "the connection broke before the response had begun, or a proxy refused to connect to the server"
            }
            Self::Certificate => "the server's certificate is not trusted",
            Self::NotExecutable => "run: the program cannot be executed",
            Self::NotFound => "run: the program does not exist",
            Self::HungUp => "ended by SIGHUP",
            Self::Interrupted => "ended by SIGINT",
            Self::Terminated => "ended by SIGTERM",
            Self::OfProgram(_) | Self::KilledProgram(_) => "run: how the program ended",
        }
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(exit: ExitCode) -> Self {
        Self::from(exit.code())
    }
}

/// The codes and their meanings, for the help and the manual pages.
pub(crate) fn table() -> String {
    ExitCode::ALL.iter().fold(String::new(), |mut table, exit| {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "  {:3}  {}", exit.code(), exit.meaning());
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
            let row = format!("| {} | {} |", exit.code(), exit.meaning());
            assert!(readme.contains(&row), "README.md lacks: {row}");
        }
    }
}
