//! How many exchanges does the life of a token cost that many processes share? The soak of keyfob measures it, and this file reads its results.

use std::env;
use std::fs;

use serde::Deserialize;

use crate::figure::figure;
use crate::table::{Table, verdict};

/// What the soak says about one fleet.
#[derive(Deserialize)]
struct Fleet {
    store: String,
    processes: usize,
    lives: usize,
    exchanges: usize,
    requests: u64,
    failed: usize,
}

/// The table; `None` if the soak did not run.
pub fn ask() -> Option<Table> {
    let file = env::var_os("KEYFOB_BENCH_FLEET")?;
    let text = fs::read(file).expect("the results of the soak");
    let fleets: Vec<Fleet> = serde_json::from_slice(&text).expect("the results of the soak");
    let mut verdicts = Vec::new();
    for fleet in &fleets {
        let what = format!("{}, {} processes", fleet.store, fleet.processes);
        verdicts.push(verdict(
            &what,
            fleet.per_life(),
            1.0,
            " exchanges for each life",
        ));
    }
    let failed: usize = fleets.iter().map(|fleet| fleet.failed).sum();
    verdicts.push(verdict(
        "failed requests, all fleets",
        failed as f64,
        0.0,
        "",
    ));
    Some(Table {
        name: "fleet",
        title: "A fleet that shares one token".to_owned(),
        about: "Processes that start at once, on one machine, share a rotating refresh token through a store, and send about ten \
                requests a second each. Tokens live for 6 s. The issuer takes 200 ms, and detects a refresh token that is used \
                twice. *Lives* is the number of tokens, one after the other. Nothing is killed here; `cargo xtask soak` does that. \
                The Redis Cluster has three masters and three replicas.",
        columns: vec![
            "store",
            "processes",
            "lives",
            "exchanges",
            "exchanges for each life",
            "requests",
            "failed",
        ],
        rows: fleets.iter().map(Fleet::row).collect(),
        measured: "",
        bars: Vec::new(),
        verdicts,
    })
}

impl Fleet {
    fn per_life(&self) -> f64 {
        self.exchanges as f64 / self.lives as f64
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.store.clone(),
            self.processes.to_string(),
            self.lives.to_string(),
            self.exchanges.to_string(),
            figure(self.per_life()),
            self.requests.to_string(),
            self.failed.to_string(),
        ]
    }
}
