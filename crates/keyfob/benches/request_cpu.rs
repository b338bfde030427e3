//! Measures the CPU time that a session adds to `reqwest`, over loopback, on the client's thread.
//!
//! The server has a thread of its own, which is not counted. The clients send batches in turn, so that a noisy machine slows
//! all. The printed ratio is the median of the ratios of neighbouring batches.
//!
//! In a session a request or a body that stalls fails after the timeout. `reqwest` does that only with a read timeout. So
//! there are two ratios: one to a client with a read timeout, and one to a client without, which may hang forever.

mod cpu;

use std::time::Duration;

use http::header::AUTHORIZATION;
use keyfob::{Session, TokenCache};
use keyfob_testkit::{Expect, ScriptedResponse, Server, json};

use crate::cpu::{ROUNDS, batch, median, stay_on_one_processor};

fn main() {
    stay_on_one_processor();
    let server = Server::builder().request_limit(0).start();
    server.expect(Expect::any().always(ScriptedResponse::json(json!({"value": 42}))));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(compare(&server.url()));
    server.verify();
}

async fn compare(url: &str) {
    let tokens = TokenCache::new(keyfob::hook(|_| async {
        Ok::<_, std::io::Error>(("t".repeat(454), Duration::from_secs(3600)))
    }));
    let bare = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(20))
        .build()
        .expect("a client");
    let bounded = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(20))
        .read_timeout(Duration::from_secs(20))
        .build()
        .expect("a client");
    let session = Session::new(url, tokens.clone()).expect("a session");
    let header = tokens.lease(None).await.expect("a token").header().clone();

    let send_bare = async |client: &reqwest::Client| {
        let request = client.get(url).header(AUTHORIZATION, header.clone());
        request
            .send()
            .await
            .expect("a response")
            .bytes()
            .await
            .expect("a body");
    };
    let send_session = async || {
        session
            .get(url)
            .send()
            .await
            .expect("a response")
            .bytes()
            .await
            .expect("a body");
    };

    let (mut times, mut ratios, mut ratios_bounded) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let plain = batch(|| send_bare(&bare)).await;
        let with_limit = batch(|| send_bare(&bounded)).await;
        let authenticated = batch(&send_session).await;
        // The first rounds open connections and warm up caches.
        if round >= 5 {
            times.push(plain);
            ratios.push(authenticated / plain);
            ratios_bounded.push(authenticated / with_limit);
        }
    }
    println!(
        "reqwest, bare: {:.1} µs of CPU per request",
        median(&mut times) * 1e6
    );
    println!(
        "session / reqwest, no read timeout:   {:.3}",
        median(&mut ratios)
    );
    println!(
        "session / reqwest, with read timeout: {:.3}",
        median(&mut ratios_bounded)
    );
}
