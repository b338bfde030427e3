//! Tests with real processes: what they get, what is read from them, and that none is left running.

#![expect(clippy::disallowed_methods, reason = "a process runs in real time")]

use std::error::Error as _;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, mpsc};
use std::time::Instant;
use std::{env, fs, thread};

use rustix::process::{Pid, test_kill_process};

use super::*;
use crate::error::error::ErrorKind;
use crate::runtime::block_on::block_on;
use crate::runtime::runtime::{Runtime, TokioOrThreads};
use crate::token::token::Token;

mod helpers;

const LONG: Duration = Duration::from_secs(60);

fn request(runtime: impl Runtime) -> TokenRequest {
    TokenRequest::new(LONG, Arc::new(runtime))
}

fn fetch(source: &CommandToken) -> Result<Token, Error> {
    block_on(source.fetch(&request(TokioOrThreads)))
}

/// A script for the shell; `$1` is the path.
fn script(text: &str, path: &Path) -> CommandToken {
    let argv = ["/bin/sh", "-c", text, "sh"].map(OsString::from);
    CommandToken::new(argv.into_iter().chain([path.into()])).unwrap()
}

fn sh(text: &str) -> CommandToken {
    script(text, Path::new(""))
}

fn printed(source: &CommandToken) -> String {
    fetch(source).unwrap().expose().to_owned()
}

fn failure(source: &CommandToken) -> Error {
    fetch(source).unwrap_err()
}

/// A directory that is removed when the test ends.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("keyfob-command-{}-{number}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A named pipe that stays open as long as one of the processes lives.
struct Lifeline {
    directory: TempDir,
    lines: Receiver<Option<String>>,
}

impl Lifeline {
    fn new() -> Self {
        let directory = TempDir::new();
        let path = directory.file("fifo");
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(File::open(path).unwrap()).lines() {
                sender.send(line.ok()).unwrap();
            }
            let _ = sender.send(None);
        });
        Self { directory, lines }
    }

    fn script(&self, text: &str) -> CommandToken {
        let text = format!("exec 3>\"$1\"; echo $$ >&3; {text}");
        script(&text, &self.directory.file("fifo"))
    }

    fn line(&self) -> Option<String> {
        self.lines.recv_timeout(LONG / 2).unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.line().unwrap().parse().unwrap()).unwrap()
    }

    /// Asserts that all processes have ended, and that the first was reaped.
    fn assert_dead(&self, pid: Pid) {
        assert_eq!(self.line(), None, "a process still writes");
        let since = Instant::now();
        while test_kill_process(pid).is_ok() {
            assert!(since.elapsed() < LONG, "a zombie is left");
            thread::yield_now();
        }
    }
}

#[test]
fn the_output_of_the_command_is_the_token() {
    assert_eq!(printed(&sh("echo t0k; echo chatter >&2")), "t0k");
}

#[test]
fn arguments_are_not_read_by_a_shell() {
    let source = CommandToken::new(["echo", "$HOME;`id`>x"]).unwrap();
    assert_eq!(printed(&source), "$HOME;`id`>x");
}

/// Runs itself again as a process whose standard input has something to read.
#[test]
fn standard_input_is_empty_unless_there_is_a_request() {
    const INSIDE: &str = "KEYFOB_TEST_WITH_INPUT";
    if env::var_os(INSIDE).is_some() {
        assert_eq!(printed(&sh("cat; echo t0k")), "t0k");
        return;
    }
    let name = thread::current().name().unwrap().to_owned();
    let input = TempDir::new();
    fs::write(input.file("input"), "callers-").unwrap();
    let status = Command::new(env::current_exe().unwrap())
        .args(["--exact", &name])
        .env(INSIDE, "1")
        .stdin(File::open(input.file("input")).unwrap())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn the_command_does_not_start_in_the_callers_directory() {
    assert_eq!(printed(&sh("pwd")), "/");
    let directory = TempDir::new();
    let directory = fs::canonicalize(&directory.0).unwrap();
    assert_eq!(
        printed(&sh("pwd -P").directory(&directory)),
        directory.to_str().unwrap()
    );
}

#[test]
fn a_relative_program_is_found_from_the_first_directory() {
    let executable = |program: &str| CommandToken::new([program]).unwrap().executable;
    let here = env::current_dir().unwrap();
    assert_eq!(executable("./helper"), here.join("helper"));
    assert_eq!(executable("bin/helper"), here.join("bin/helper"));
    assert_eq!(executable("helper"), "helper");
}

#[test]
fn variables_are_added_to_the_environment() {
    let source = sh("test -n \"$PATH\" && echo \"$ANSWER\"")
        .env("ANSWER", "42")
        .unwrap();
    assert_eq!(printed(&source), "42");
}

#[test]
fn commands_that_cannot_be_run_are_input_errors() {
    let none: [&str; 0] = [];
    assert_eq!(
        CommandToken::new(none).unwrap_err().kind(),
        ErrorKind::Input
    );
    assert_eq!(
        CommandToken::new([""]).unwrap_err().kind(),
        ErrorKind::Input
    );
    assert_eq!(
        CommandToken::new(["a\0b"]).unwrap_err().kind(),
        ErrorKind::Input
    );
    for name in ["", "a=b", "a\0b"] {
        assert_eq!(sh("").env(name, "x").unwrap_err().kind(), ErrorKind::Input);
    }
}

#[test]
fn s1_debug_hides_arguments_and_environment() {
    let source = CommandToken::new(["tool", "--key", "s3cr3t"]).unwrap();
    let source = source.env("KEY", "s3cr3t").unwrap();
    let shown = format!("{source:?}");
    assert!(
        shown.contains("tool") && !shown.contains("s3cr3t"),
        "{shown}"
    );
}

#[test]
fn s3_a_failure_shows_its_status_and_stderr_without_secrets() {
    let error = failure(&sh(
        "echo st-out-5; echo 'not logged in' >&2; echo 'password: s3cr3t' >&2; echo got st-out-5 >&2; exit 3",
    ));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        error.to_string(),
        "the command \"/bin/sh\" failed (exit status: 3); it said: \
         not logged in password: [redacted] got [redacted]"
    );
}

#[test]
fn a_failure_that_is_reported_on_stdout_becomes_the_error() {
    let error = failure(&sh("echo credentials not found in native keychain; exit 1"));
    assert!(
        error.to_string().contains("there is no credential"),
        "{error}"
    );
    let error = failure(&sh(
        r#"echo '{"Err":{"kind":"url-not-supported"}}'; exit 1"#,
    ));
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[test]
fn a_signal_is_named() {
    let error = failure(&sh("kill -9 $$"));
    assert!(error.to_string().contains("signal: 9"), "{error}");
}

#[test]
fn output_that_is_not_a_token_is_not_quoted() {
    for (text, kind, word) in [
        ("true", ErrorKind::Unavailable, "is empty"),
        ("printf '\\377\\376'", ErrorKind::Malformed, "not UTF-8"),
        ("echo a; echo s3cr3t", ErrorKind::Malformed, "several lines"),
    ] {
        let error = failure(&sh(text));
        assert_eq!(error.kind(), kind);
        let shown = error.to_string();
        assert!(shown.contains(word) && !shown.contains("s3cr3t"), "{shown}");
    }
}

#[test]
fn a_program_that_cannot_start_says_why() {
    let directory = TempDir::new();
    let plain = directory.file("plain");
    fs::write(&plain, "text").unwrap();
    let command = |program: &Path| CommandToken::new([program]).unwrap();
    for (source, word) in [
        (
            command(Path::new("keyfob-no-such-program")),
            "was not found",
        ),
        (command(&directory.file("missing")), "was not found"),
        (command(&plain), "chmod +x"),
        (
            sh("echo t0k").directory(directory.file("missing")),
            "not a directory",
        ),
    ] {
        let error = failure(&source);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.source().is_some());
    }
}

#[test]
fn a_command_that_hangs_is_killed_with_its_process_group() {
    let lifeline = Lifeline::new();
    let source = lifeline.script("echo waiting >&2; sleep 1000 & sleep 1000");
    let error = failure(&source.timeout(Duration::from_secs(1)));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error
            .to_string()
            .contains("within 1 s and was killed; it said: waiting"),
        "{error}"
    );
    lifeline.assert_dead(lifeline.pid());
}

#[test]
fn a_command_that_closes_its_output_and_hangs_is_killed() {
    let lifeline = Lifeline::new();
    let source = lifeline.script("exec >&- 2>&-; sleep 1000");
    let error = failure(&source.timeout(Duration::from_secs(1)));
    assert!(error.to_string().contains("was killed"), "{error}");
    lifeline.assert_dead(lifeline.pid());
}

#[test]
fn a_command_that_prints_too_much_is_killed() {
    for text in ["yes", "head -c 1000000000 /dev/zero; sleep 1000"] {
        let lifeline = Lifeline::new();
        let error = failure(&lifeline.script(text).timeout(LONG));
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(
            error.to_string().contains("more than 1048576 bytes"),
            "{error}"
        );
        lifeline.assert_dead(lifeline.pid());
    }
    assert_eq!(printed(&sh("echo t0k").output_limit(4)), "t0k");
    assert!(fetch(&sh("echo t0k").output_limit(3)).is_err());
}

#[test]
fn a_long_stderr_is_not_a_failure() {
    assert_eq!(
        printed(&sh("head -c 50000000 /dev/zero >&2; echo t0k")),
        "t0k"
    );
}

#[test]
fn a_process_that_keeps_the_output_open_does_not_delay_the_token() {
    let since = Instant::now();
    let lifeline = Lifeline::new();
    assert_eq!(printed(&lifeline.script("sleep 1000 & echo t0k")), "t0k");
    lifeline.assert_dead(lifeline.pid());
    // The same for a process that has left the process group.
    assert_eq!(printed(&sh("setsid sleep 20 & echo t0k")), "t0k");
    assert!(since.elapsed() < Duration::from_secs(15));
}

#[test]
fn an_agent_that_closes_the_output_keeps_running() {
    let lifeline = Lifeline::new();
    let source = lifeline.script("(sleep 1; echo alive >&3) >/dev/null & echo t0k");
    assert_eq!(printed(&source), "t0k");
    lifeline.pid();
    assert_eq!(lifeline.line().as_deref(), Some("alive"));
}

#[test]
fn t7_a_dropped_fetch_leaves_nothing_running() {
    let lifeline = Lifeline::new();
    let source = lifeline
        .script("sleep 1000 & sleep 1000")
        .timeout(LONG * 10);
    let request = request(TokioOrThreads);
    let fetch = source.fetch(&request);
    let pid = lifeline.pid();
    drop(fetch);
    lifeline.assert_dead(pid);
}

#[test]
fn t7_a_fetch_that_is_dropped_early_starts_nothing() {
    let (kill_on_drop, events) = Events::new();
    drop(kill_on_drop);
    let source = CommandToken::new(["keyfob-no-such-program"]).unwrap();
    let error = source.output(&source.input, &events).unwrap_err();
    assert!(error.to_string().contains("was dropped"), "{error}");
}

#[test]
fn s3_only_the_end_of_stderr_is_shown() {
    let error = failure(&sh(
        "i=0; while test $i -lt 400; do echo \"line $i of many words here\" >&2; i=$((i+1)); done; exit 1",
    ));
    let shown = error.to_string();
    assert!(shown.ends_with("line 399 of many words here"), "{shown}");
    assert!(shown.len() < 700, "{shown}");
}
