//! Commands that leave processes behind.

use std::fs;
use std::thread;

use keyfob::{CommandToken, TokenCache};

use crate::harness::SECOND;
use crate::own_process::run_alone;

#[cfg(target_os = "linux")]
#[test]
fn leftovers_of_commands_cost_no_thread_and_no_descriptor() {
    run_alone::<&str>("commands::alone_leftovers_cost_nothing", &[]);
}

#[test]
#[ignore = "counts the threads of its process; run by the test above"]
#[expect(clippy::disallowed_methods, reason = "threads end in real time")]
fn alone_leftovers_cost_nothing() {
    let fetch = |script: &str| {
        let command = CommandToken::new(["sh", "-c", script]).unwrap();
        TokenCache::new(command).get_valid_token_blocking().unwrap();
    };
    fetch("echo t0k");
    let before = (count("task"), count("fd"));
    // Each leaves a process that holds both pipes and cannot be killed with its group.
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| fetch("setsid sleep 20 & echo t0k"));
        }
    });
    for _ in 0..100 {
        if count("task") <= before.0 && count("fd") <= before.1 {
            return;
        }
        thread::sleep(SECOND / 20);
    }
    panic!("{before:?} became {:?}", (count("task"), count("fd")));
}

fn count(what: &str) -> usize {
    fs::read_dir(format!("/proc/self/{what}")).unwrap().count()
}
