//! Another process that shares a store with a test, and that the test controls line by line.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use keyfob::source::Persisted;
use keyfob::store::TokenStore;
use keyfob::{Error, TokenCache};
use rustix::process::{Pid, Signal, kill_process};

use crate::fixtures::{Rotating, key, token};

/// Another process. It prints `ready`, waits for a line, and fetches a token. For each exchange it prints `exchange`,
/// and reads the number of the new token from the next line.
pub(crate) struct OtherProcess {
    process: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stdin: ChildStdin,
}

impl OtherProcess {
    /// Runs a test that is such a process, and sends it its instructions in one line.
    pub(crate) fn run(test: &str, instructions: &str) -> Self {
        // A program inherits the signals that its shell ignores. So a write on a full disk fails instead of killing the process.
        let mut process = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .args(["--ignored", "--nocapture", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut other = Self {
            stdout: BufReader::new(process.stdout.take().unwrap()).lines(),
            stdin: process.stdin.take().unwrap(),
            process,
        };
        other.send_line(instructions);
        assert_eq!(other.next_line(), "ready");
        other
    }

    pub(crate) fn send_line(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    /// The next line of the process itself. Its test harness prints lines too.
    pub(crate) fn next_line(&mut self) -> String {
        let printed = self.stdout.by_ref().map_while(Result::ok);
        let mut own = printed.filter_map(|line| line.strip_prefix(PREFIX).map(str::to_owned));
        own.next().unwrap_or_else(|| "nothing".to_owned())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The part of such a process that works with every store.
pub(crate) fn get_token_from(store: impl TokenStore) {
    let source = keyfob::hook_blocking(|_| {
        print_line("exchange");
        let number = read()
            .parse()
            .map_err(|_| Error::unavailable("no number"))?;
        token(number)
    });
    let source = Persisted::new(Rotating(source), store, key());
    let tokens = TokenCache::new(source);
    print_line("ready");
    read();
    match tokens.get_valid_token_blocking() {
        Ok(token) => print_line(token.expose()),
        Err(error) => print_line(&format!("{}: {error}", error.kind())),
    }
}

pub(crate) fn print_line(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{PREFIX}{line}").unwrap();
    out.flush().unwrap();
}

pub(crate) fn read() -> String {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    line.trim().to_owned()
}

pub(crate) const PREFIX: &str = "keyfob: ";
