//! What does a request through the proxy cost, compared with nginx?

use tokio::runtime::{Builder, Runtime};

use crate::chart::Bar;
use crate::figure::{figure, time};
use crate::measure::{median, on_one_processor};
use crate::questions::proxy::load::Client;
use crate::questions::proxy::processes::Process;
use crate::questions::proxy::setup::{FIXED, Setup};
use crate::table::{Table, verdict};

pub fn ask(setup: &Setup) -> Table {
    on_one_processor(|| {
        let runtime = Builder::new_current_thread().enable_all().build();
        table(setup, &runtime.expect("a runtime"))
    })
}

fn table(setup: &Setup, runtime: &Runtime) -> Table {
    let upstream = setup.upstream();
    let proxies = [
        ("nginx", setup.nginx(upstream.address)),
        ("keyfob proxy", setup.keyfob(upstream.address, FIXED)),
    ];
    let (mut rows, mut bars, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    for in_flight in [1, 64] {
        let mut costs = [Vec::new(), Vec::new()];
        for batch in 0..=BATCHES {
            for ((_, (process, client)), costs) in proxies.iter().zip(&mut costs) {
                let cost = runtime.block_on(cost(process, client, in_flight));
                // The first batch opens the connections.
                if batch > 0 {
                    costs.push(cost);
                }
            }
        }
        let mut ratios: Vec<f64> = costs[1].iter().zip(&costs[0]).map(|(a, b)| a / b).collect();
        let ratio = median(&mut ratios);
        for ((name, _), costs) in proxies.iter().zip(&mut costs) {
            let cost = median(costs);
            let ours = *name != "nginx";
            let ratio = if ours { ratio } else { 1.0 };
            rows.push(vec![
                (*name).to_owned(),
                in_flight.to_string(),
                figure(ratio),
                time(cost),
            ]);
            bars.push(
                Bar::new(format!("{name}, {in_flight} in flight"), cost * 1e6, ours)
                    .labelled(time(cost)),
            );
        }
        let what = format!("CPU to nginx, {in_flight} in flight");
        verdicts.push(verdict(&what, ratio, 1.25, ""));
    }
    Table {
        name: "proxy-cpu",
        title: "A request through the proxy".to_owned(),
        about: "A GET over HTTP/1.1 on loopback, with a short response. CPU is everything that the proxy's process uses, \
                system calls included. nginx is one process; it adds a fixed header, keeps its connections open and does \
                not buffer. `keyfob proxy` checks the client's secret, removes the client's credentials and puts on the \
                token of its cache. Both have the same upstream and the same clients. Ratios are medians of batches that \
                alternate. All of them run on one processor. With two processors, most of the \
                measured time would be the waking of idle virtual ones.",
        columns: vec!["", "in flight", "CPU to nginx", "CPU of one"],
        rows,
        measured: "CPU of a request, in µs",
        bars,
        verdicts,
    }
}

/// The CPU seconds of the proxy for one request.
async fn cost(process: &Process, client: &Client, in_flight: usize) -> f64 {
    let before = process.cpu();
    client.send(REQUESTS, in_flight).await;
    (process.cpu() - before) / REQUESTS as f64
}

const BATCHES: usize = 9;
const REQUESTS: usize = 16_000;
