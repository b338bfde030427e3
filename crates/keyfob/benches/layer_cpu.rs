//! Measures the CPU time that the tower layer adds to `hyper-util`, over loopback, on the client's thread.
//!
//! The server has a thread of its own, which is not counted. The clients send batches in turn, so that a noisy machine slows
//! all. The printed ratio is the median of the ratios of neighbouring batches.

mod cpu;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use keyfob::TokenCache;
use keyfob::tower::{AuthenticationLayer, AuthenticationService};
use keyfob_testkit::{Expect, ScriptedResponse, Server, json};
use tower::{Layer, ServiceExt};

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
    let header = tokens.lease(None).await.expect("a token").header().clone();
    let plain_client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let builder = || AuthenticationLayer::builder(tokens.clone()).origin(url);
    let limited = builder()
        .build()
        .expect("a layer")
        .layer(plain_client.clone());
    let unlimited = builder().timeout(Duration::MAX).build().expect("a layer");
    let unlimited = unlimited.layer(plain_client.clone());

    let send_plain = async || {
        let request = request(url).header(AUTHORIZATION, header.clone());
        let request = request.body(Full::default()).expect("a request");
        let response = plain_client
            .clone()
            .oneshot(request)
            .await
            .expect("a response");
        response.into_body().collect().await.expect("a body");
    };
    let send_layered =
        async |client: &AuthenticationService<Client<HttpConnector, Full<Bytes>>>| {
            let request = request(url).body(Full::default()).expect("a request");
            let response = client.clone().oneshot(request).await.expect("a response");
            response.into_body().collect().await.expect("a body");
        };

    let (mut times, mut ratios, mut ratios_unlimited) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let plain = batch(&send_plain).await;
        let authenticated = batch(|| send_layered(&limited)).await;
        let without_limit = batch(|| send_layered(&unlimited)).await;
        // The first rounds open connections and warm up caches.
        if round >= 5 {
            times.push(plain);
            ratios.push(authenticated / plain);
            ratios_unlimited.push(without_limit / plain);
        }
    }
    println!(
        "hyper-util, bare: {:.1} µs of CPU per request",
        median(&mut times) * 1e6
    );
    println!("layer / hyper-util: {:.3}", median(&mut ratios));
    println!(
        "layer without a time limit / hyper-util: {:.3}",
        median(&mut ratios_unlimited)
    );
}

/// A request with a few header fields, as real clients send them.
fn request(url: &str) -> http::request::Builder {
    Request::get(url)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "layer-cpu/1")
}
