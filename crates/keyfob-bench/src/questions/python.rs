//! The same questions in Python. A script measures them, and this file reads its results.

use std::env;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::chart::Bar;
use crate::figure::{figure, time};
use crate::table::{Table, verdict};

/// The tables, and the measured versions; `None` if there is no Python with the package.
pub fn ask() -> Option<(Vec<Table>, String)> {
    let python = env::var_os("KEYFOB_BENCH_PYTHON")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/peers.py");
    let run = Command::new(python)
        .arg(script)
        .stderr(Stdio::inherit())
        .output();
    let run = run.expect("python starts");
    assert!(
        run.status.success(),
        "the Python bench ended with {}",
        run.status
    );
    let answers: Value = serde_json::from_slice(&run.stdout).expect("its answers");
    let versions = pairs(&answers["versions"], |version| {
        version.as_str().unwrap_or_default().to_owned()
    });
    let versions: Vec<String> = versions
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    Some((
        vec![
            read(&answers["read"]),
            request(&answers["request"]),
            herd(&answers["herd"]),
        ],
        versions.join(", "),
    ))
}

fn pairs<'a, T>(
    of: &'a Value,
    value: impl Fn(&Value) -> T + 'a,
) -> impl Iterator<Item = (&'a str, T)> {
    let object = of.as_object().expect("an object");
    object
        .iter()
        .map(move |(name, one)| (name.as_str(), value(one)))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn read(answers: &Value) -> Table {
    let base = number(&answers["the reference's shape"]);
    let (mut rows, mut bars, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    for (name, seconds) in pairs(answers, number) {
        let ratio = seconds / base;
        rows.push(vec![name.to_owned(), figure(ratio), time(seconds)]);
        bars.push(Bar::new(name, ratio, name.starts_with("keyfob")));
        if name == "keyfob, get_valid_token()" {
            verdicts.push(verdict(name, ratio, 0.5, ""));
        }
    }
    Table {
        name: "python-read",
        title: "Python: a cached token".to_owned(),
        about: "The time until the caller has a token or a header. *The reference's shape* is a lock, a check of the \
                expiry and a new dict. httpx has no token cache.",
        columns: vec!["", "to the reference's shape", "time"],
        rows,
        measured: "time of a read, ratio to the reference's shape",
        bars,
        verdicts,
    }
}

fn request(answers: &Value) -> Table {
    let base = number(&answers["seconds"]);
    let (mut rows, mut bars, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    for (name, ratio) in pairs(answers, number).filter(|(name, _)| *name != "seconds") {
        let ours = name.contains("keyfob");
        rows.push(vec![
            name.to_owned(),
            format!("{ratio:.3}"),
            time(ratio * base),
        ]);
        bars.push(Bar::new(name, ratio, ours).labelled(format!("{ratio:.3}")));
        if name == "keyfob session" {
            verdicts.push(verdict(name, ratio, 1.03, ""));
        }
    }
    Table {
        name: "python-request",
        title: "Python: a request".to_owned(),
        about: "CPU of the client's process for a GET on loopback, as a ratio to plain `requests` with a ready header.",
        columns: vec!["", "CPU to requests", "CPU of one"],
        rows,
        measured: "CPU of a request, ratio to requests",
        bars,
        verdicts,
    }
}

fn herd(answers: &Value) -> Table {
    let (mut rows, mut bars, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    for answer in answers.as_array().expect("a list") {
        let name = answer[0].as_str().unwrap_or_default();
        let (calls, ratio) = (number(&answer[1]), number(&answer[2]));
        rows.push(vec![name.to_owned(), format!("{calls:.0}"), figure(ratio)]);
        bars.push(
            Bar::new(name, ratio, name == "keyfob")
                .labelled(format!("{} ({calls:.0} calls)", figure(ratio))),
        );
        if name == "keyfob" {
            verdicts.push(verdict("calls", calls, 1.0, ""));
            verdicts.push(verdict(
                "the last thread",
                ratio,
                1.5,
                " of the hook's time",
            ));
        }
    }
    Table {
        name: "python-herd",
        title: "Python: 200 threads on an expired token".to_owned(),
        about: "All threads ask for a token at once, and the hook takes 200 ms. *Last* is the time until the last thread has a token, as a ratio to those 200 ms.",
        columns: vec!["", "calls to the hook", "last"],
        rows,
        measured: "time until the last thread has a token, ratio to the hook's",
        bars,
        verdicts,
    }
}
