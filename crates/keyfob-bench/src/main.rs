//! Compares keyfob with other libraries: one table and one chart for each question.
//!
//! `cargo xtask bench` sets it up and runs it. With named questions it prints their results. With all of them it writes
//! the page `docs/benchmarks.md` and its charts.

mod chart;
mod figure;
mod many_users;
mod measure;
mod page;
mod peers;
mod questions;
mod service;
mod source;
mod table;

use std::env;

use tokio::runtime::{Builder, Runtime};

use crate::questions::{
    boundary, fleet, herd, impatient, late, outage, proxy, python, read, request, start, users,
};
use crate::table::Table;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    if words == ["serve"] {
        return request::serve();
    }
    if let [question, name] = words.as_slice()
        && question == users::MEMORY
    {
        return users::print_memory(&runtime(), name);
    }
    let asked = |name: &str| words.is_empty() || words.iter().any(|word| word == name);
    let runtime = runtime();
    let mut tables = Vec::new();
    let mut versions = String::new();
    let mut answer = |table: Table| {
        println!("{}", table.markdown());
        tables.push(table);
    };
    if asked("read") {
        answer(read::ask(runtime.handle()));
    }
    if asked("request") {
        answer(request::ask());
    }
    if asked("herd") {
        answer(runtime.block_on(herd::ask_missing()));
        answer(runtime.block_on(herd::ask_failing()));
        answer(runtime.block_on(late::ask()));
    }
    if asked("boundary") {
        answer(runtime.block_on(boundary::ask()));
    }
    if asked("impatient") {
        answer(runtime.block_on(impatient::ask()));
    }
    if asked("outage") {
        answer(runtime.block_on(outage::ask()));
    }
    if asked("users") {
        users::ask(&runtime, &mut answer);
    }
    if asked("fleet")
        && let Some(table) = fleet::ask()
    {
        answer(table);
    }
    if asked("python")
        && let Some((answers, of)) = python::ask()
    {
        answers.into_iter().for_each(&mut answer);
        versions = of;
    }
    if asked("start") {
        start::ask_process().into_iter().for_each(&mut answer);
    }
    if asked("proxy") {
        proxy::ask(runtime.handle(), &mut answer);
    }
    // This question comes last, because nothing else may run at the same time.
    if asked("build") {
        answer(start::ask_build());
    }
    if let Some(folder) = env::var_os("KEYFOB_BENCH_PAGE") {
        match words.is_empty() {
            true => page::write(folder.as_ref(), &tables, &versions),
            false => page::update(folder.as_ref(), &tables),
        }
    }
}

fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime")
}
