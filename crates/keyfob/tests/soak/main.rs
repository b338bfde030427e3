//! Many processes share one rotating refresh token, and are killed at random: how many exchanges, how many mishaps?
//!
//! `cargo xtask soak` runs it long, `cargo test --test soak` short. It is a program of its own, and the processes that it
//! starts are this program again.

#![expect(
    clippy::unwrap_used,
    reason = "what these tests share is test code, too"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "processes live and die in real time"
)]

mod held_responses;
mod options;
#[expect(dead_code, reason = "the tests of the store use more of it")]
#[path = "../real_servers/redis_server.rs"]
mod redis_server;
mod run;
mod setup;
mod store_note;
mod worker;
mod workers;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let arguments: Vec<String> = arguments.by_ref().collect();
    match arguments.first().map(String::as_str) {
        Some("worker") => {
            worker::run();
            ExitCode::SUCCESS
        }
        // What `cargo nextest` and others ask of any test.
        Some("--list") => ExitCode::SUCCESS,
        _ => run::run_all(&options::Options::parse(&arguments)),
    }
}
