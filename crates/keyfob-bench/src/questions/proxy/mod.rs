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

/// Answers with a table for each question; with none if the program was not built.
pub fn ask(runtime: &Handle, mut answer: impl FnMut(Table)) {
    let Some(setup) = Setup::new() else {
        return;
    };
    answer(startup::ask(&setup));
    answer(cpu::ask(&setup));
    answer(latency::ask(&setup, runtime));
    answer(streams::ask(&setup, runtime));
    answer(faults::ask(&setup, runtime));
}
