//! What does `keyfob proxy` cost, compared with nginx, and does it keep its promises under load?

mod cpu;
mod faults;
mod latency;
mod load;
mod processes;
mod setup;
mod startup;
mod stream_server;
mod streams;

use tokio::runtime::Handle;

use crate::questions::proxy::setup::Setup;
use crate::table::Table;

/// One table for each question; none if the program was not built.
pub fn ask(runtime: &Handle) -> Vec<Table> {
    let Some(setup) = Setup::new() else {
        return Vec::new();
    };
    vec![
        cpu::ask(&setup, runtime),
        latency::ask(&setup, runtime),
        streams::ask(&setup, runtime),
        faults::ask(&setup, runtime),
        startup::ask(&setup),
    ]
}
