//! A signal ends the program at once, and leaves nothing behind. Only an exchange of a refresh token is brought to its end.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use keyfob_testkit::{Expect, Gate, ScriptedResponse, Server, json};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::keyfob::{Finished, Folder, Keyfob, finish};
use crate::output::names;
use crate::waiting::{TIMEOUT, wait_until};

#[test]
fn an_interrupt_leaves_no_token_command_running() {
    let folder = Folder::new();
    let mark = folder.path("pid");
    let helper = folder.script(
        "helper",
        &format!(
            "echo $$ > '{0}.new'; mv '{0}.new' '{0}'; sleep 600",
            mark.display()
        ),
    );
    let child = Keyfob::new(["token", "--token-command", &helper]).start();
    let helper = wait_until("the command runs", || fs::read_to_string(&mark).ok());
    let helper = pid(helper.trim().parse().expect("a number"));
    send(&child, Signal::INT);
    let done = ended(child);
    assert_eq!((done.code, &*done.stderr), (130, ""));
    wait_until("the command is gone", || test_kill_process(helper).err());
}

#[test]
fn a_signal_leaves_no_partial_file() {
    for (signal, code) in SIGNALS {
        let folder = Folder::new();
        let server = Server::start();
        server.expect(
            Expect::get("/x")
                .respond(ScriptedResponse::stream(1000).slow_body(10, Duration::from_secs(600))),
        );
        let out = folder.path("out");
        let url = server.url_for("/x");
        let child = Keyfob::request([&*url, "-o", out.to_str().expect("a plain path")]).start();
        wait_until("a part is written", || {
            let name = names(&folder).pop()?;
            fs::metadata(folder.path(&name))
                .ok()
                .filter(|part| part.len() > 0)
        });
        send(&child, signal);
        assert_eq!(ended(child).code, code);
        assert_eq!(names(&folder), [""; 0]);
    }
}

#[test]
fn an_interrupt_does_not_wait_for_standard_input() {
    let server = Server::start();
    server.expect(Expect::post("/x").always(ScriptedResponse::hang().without_reading()));
    let url = server.url_for("/x");
    let mut child = Keyfob::request([&*url, "-d", "@-"])
        .stdin(Stdio::piped())
        .start();
    let stdin = child.stdin.take();
    server.wait_for_calls(1, TIMEOUT);
    send(&child, Signal::INT);
    assert_eq!(ended(child).code, 130);
    drop(stdin);
}

#[test]
fn an_interrupt_does_not_wait_for_the_other_end_of_a_pipe() {
    let folder = Folder::new();
    let pipe = folder.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("every Unix has it").success());
    let pipe = pipe.to_str().expect("a plain path");
    let helper = folder.script("helper", "echo t0ken");
    for option in ["--upload-file", "--output"] {
        let child = Keyfob::request([
            "https://h.invalid",
            option,
            pipe,
            "--token-command",
            &helper,
        ])
        .start();
        wait_until("signals are handled", || {
            handles(&child, Signal::INT).then_some(())
        });
        send(&child, Signal::INT);
        assert_eq!(ended(child).code, 130);
    }
}

#[test]
fn a_signal_that_was_ignored_from_the_start_stays_ignored() {
    let server = Server::start();
    let gate = Gate::new();
    server.expect(Expect::get("/x").respond(ScriptedResponse::text("done").when(&gate)));
    let program = env!("CARGO_BIN_EXE_keyfob");
    let line = format!(
        "trap '' HUP; exec {program} request {}",
        server.url_for("/x")
    );
    let child = Command::new("sh")
        .args(["-c", &line])
        .env("KEYFOB_TOKEN", "t0ken")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("every Unix has it");
    server.wait_for_calls(1, TIMEOUT);
    send(&child, Signal::HUP);
    gate.open();
    let done = finish(child);
    assert_eq!((done.code, &*done.stdout), (0, "done"), "{done:?}");
}

/// A machine whose stored token is renewed with `r1`. The token endpoint responds when the gate is open, with the refresh token `r2`.
fn rotating(gate: &Gate) -> (Folder, Server) {
    let (folder, server) = (Folder::new(), Server::start());
    server.expect(exchange("r1", |response| response.when(gate)));
    let first = folder.file("first", "r1");
    let file = format!(
        "[profiles.a]\norigins = \"https://api.example.com\"\n[profiles.a.token]\ngrant = \"refresh_token\"\n\
         client_id = \"a\"\ntoken_endpoint = \"{}\"\nrefresh_token = \"file:{}\"\n",
        server.url_for("/token"),
        first.display()
    );
    folder.file("keyfob.toml", &file);
    (folder, server)
}

/// The exchange of this refresh token for the token `t2` and the refresh token `r2`.
fn exchange(
    refresh_token: &str,
    change: impl FnOnce(ScriptedResponse) -> ScriptedResponse,
) -> Expect {
    let tokens = json!({
        "access_token": "t2", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r2",
    });
    let request = Expect::post("/token").form("refresh_token", refresh_token);
    request.respond(change(ScriptedResponse::json(tokens)))
}

#[test]
fn t9_a_signal_waits_for_the_new_refresh_token() {
    for (signal, code) in SIGNALS {
        let gate = Gate::new();
        let (folder, server) = rotating(&gate);
        let child = folder.keyfob(&["token", "a", "--renew"]).start();
        server.wait_for_calls(1, TIMEOUT);
        // `timeout` sends it to the program and to its group, and a terminal that is closed sends it twice as well.
        send(&child, signal);
        send(&child, signal);
        gate.open();
        let done = ended(child);
        assert_eq!((done.code, &*done.stdout, &*done.stderr), (code, "", ""));
        server.expect(exchange("r2", |response| response));
        let next = folder.keyfob(&["token", "a", "--renew"]).run();
        assert_eq!((next.code, &*next.stdout), (0, "t2\n"), "{next:?}");
        server.verify();
    }
}

#[test]
fn a_second_signal_waits_for_no_refresh_token() {
    for (signal, code) in SIGNALS {
        let gate = Gate::new();
        let (folder, server) = rotating(&gate);
        let mut child = folder.keyfob(&["token", "a", "--renew"]).start();
        server.wait_for_calls(1, TIMEOUT);
        let begin = Instant::now();
        while child.try_wait().expect("it is ours").is_none() {
            send(&child, signal);
            sleep(Duration::from_millis(50));
        }
        // Less than the program waits for an exchange.
        assert!(begin.elapsed() < Duration::from_secs(5));
        assert_eq!(finish(child).code, code);
    }
}

#[test]
fn a_person_reads_what_an_interrupted_program_waits_for() {
    let gate = Gate::new();
    let (folder, server) = rotating(&gate);
    let keyfob = folder.keyfob(&["token", "a", "--renew"]);
    let mut child = keyfob.at_terminal().stdin(Stdio::piped()).start();
    let mut keyboard = child.stdin.take().expect("it is piped");
    server.wait_for_calls(1, TIMEOUT);
    keyboard.write_all(b"\x03").expect("it reads");
    let mut screen = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    screen.read_line(&mut line).expect("it is text");
    assert!(line.contains("waiting for the new refresh token"), "{line}");
    gate.open();
    assert_eq!(ended(child).code, 130);
}

const SIGNALS: [(Signal, i32); 3] = [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)];

/// The result of a program that should end by itself. If it does not, it is killed and the test fails.
fn ended(mut child: Child) -> Finished {
    let deadline = Instant::now() + TIMEOUT;
    while child.try_wait().expect("it is ours").is_none() {
        if Instant::now() > deadline {
            _ = child.kill();
            _ = child.wait();
            panic!("the program did not end");
        }
        sleep(Duration::from_millis(5));
    }
    finish(child)
}

/// True if the process has a handler for the signal.
fn handles(child: &Child, signal: Signal) -> bool {
    let path = format!("/proc/{}/status", child.id());
    let status = fs::read_to_string(path).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal.as_raw() - 1)) != 0)
}

fn send(child: &Child, signal: Signal) {
    kill_process(pid(child.id().cast_signed()), signal).expect("it runs");
}

fn pid(number: i32) -> Pid {
    Pid::from_raw(number).expect("a process")
}
