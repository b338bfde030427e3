//! A signal ends the program at once, and leaves nothing behind.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use keyfob_testkit::{Expect, Gate, ScriptedResponse, Server};
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
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
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
