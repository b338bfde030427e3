//! Many processes share one rotating refresh token, and are killed at random. The soak counts exchanges and failures.
//!
//! `cargo xtask soak` runs the long variant, and `cargo test --test soak` the short one. The soak is a program without a test
//! harness, and the processes that it starts are this program again.

#![expect(clippy::unwrap_used, reason = "shared code of tests is test code too")]
#![expect(clippy::disallowed_methods, reason = "processes run in real time")]

mod fleet;
mod held_responses;
mod load;
mod load_server;
mod options;
#[expect(dead_code, reason = "the tests of the store use more of it")]
#[path = "../real_servers/postgres_server.rs"]
mod postgres_server;
#[expect(dead_code, reason = "the tests of the store use more of it")]
#[path = "../real_servers/redis_cluster_server.rs"]
mod redis_cluster_server;
#[expect(dead_code, reason = "the tests of the store use more of it")]
#[path = "../real_servers/redis_sentinel_server.rs"]
mod redis_sentinel_server;
#[expect(dead_code, reason = "the tests of the store use more of it")]
#[path = "../real_servers/redis_server.rs"]
mod redis_server;
mod run;
mod server;
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
        Some("fleet") => fleet::run_all(&options::Options::parse(&arguments)),
        Some("load") => load::run(&arguments[1..]),
        Some("load-server") => {
            load_server::run();
            ExitCode::SUCCESS
        }
        // `cargo nextest` and other runners call each test binary with this argument.
        Some("--list") => ExitCode::SUCCESS,
        _ => run::run_all(&options::Options::parse(&arguments)),
    }
}
