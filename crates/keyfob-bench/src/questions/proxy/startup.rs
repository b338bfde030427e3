//! How long does `keyfob run --proxy` take beyond the command that it runs?

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::chart::Bar;
use crate::figure::time;
use crate::measure::median;
use crate::questions::proxy::setup::{FIXED, Setup};
use crate::table::{Table, verdict};

pub fn ask(setup: &Setup) -> Table {
    let config = setup.config("https://api.example.com", FIXED);
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for run in 0..=RUNS {
        for ((_, arguments), times) in WAYS.iter().zip(&mut times) {
            let mut command = match arguments {
                [] => Command::new("true"),
                arguments => {
                    let mut command = Command::new(&setup.program);
                    command.args(*arguments);
                    command
                }
            };
            command
                .env("KEYFOB_CONFIG", &config)
                .env("KEYFOB_BENCH_TOKEN", "t0ken")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let start = Instant::now();
            let ended = command.status().expect("it starts");
            assert!(ended.success(), "{command:?} ended with {ended}");
            if run > 0 {
                times.push(start.elapsed().as_secs_f64());
            }
        }
    }
    let medians = times.map(|mut times| median(&mut times));
    let (mut rows, mut bars) = (Vec::new(), Vec::new());
    for ((name, arguments), took) in WAYS.iter().zip(medians) {
        rows.push(vec![
            (*name).to_owned(),
            time(took),
            time((took - medians[0]).max(0.0)),
        ]);
        bars.push(Bar::new(*name, took * 1e3, !arguments.is_empty()).labelled(time(took)));
    }
    let beyond = (medians[2] - medians[0]) * 1e3;
    Table {
        name: "proxy-start",
        title: "The start of a command under `keyfob run`".to_owned(),
        about: "Medians of 51 runs that alternate, each from start to exit. With `--proxy` a certificate authority is made, \
                and the roots of the system are read, each time.",
        columns: vec!["", "time", "beyond `true`"],
        rows,
        measured: "time of the whole process, in ms",
        bars,
        verdicts: vec![verdict(
            "Beyond `true`, with `--proxy`",
            beyond,
            30.0,
            " ms",
        )],
    }
}

const RUNS: usize = 51;

const WAYS: &[(&str, &[&str])] = &[
    ("true", &[]),
    (
        "keyfob run -- true",
        &[
            "run",
            "--profile",
            "bench",
            "--env",
            "API_TOKEN=bench",
            "--",
            "true",
        ],
    ),
    (
        "keyfob run --proxy -- true",
        &["run", "--proxy", "--profile", "bench", "--", "true"],
    ),
];
