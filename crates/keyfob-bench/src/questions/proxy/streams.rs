//! Does the proxy stream: large bodies in bounded memory, and events at once?

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::chart::Bar;
use crate::figure::{figure, time};
use crate::measure::percentile;
use crate::questions::proxy::latency::expiring;
use crate::questions::proxy::load::Client;
use crate::questions::proxy::setup::Setup;
use crate::questions::proxy::stream_server::{Body, EVENTS, LARGE, serve, zeros};
use crate::table::{Table, verdict};

pub fn ask(setup: &Setup, runtime: &Handle) -> Table {
    let epoch = Instant::now();
    let upstream = runtime.block_on(serve(epoch));
    let (_issuer, source) = expiring();
    let proxies = [
        ("nginx", setup.nginx(upstream)),
        ("keyfob proxy", setup.keyfob(upstream, &source)),
    ];
    let (mut rows, mut bars) = (Vec::new(), Vec::new());
    let mut verdicts = Vec::new();
    for (name, (process, client)) in &proxies {
        let (mut row, mut peaks) = (vec![(*name).to_owned()], Vec::new());
        for up in [false, true] {
            process.forget_peak();
            let start = Instant::now();
            runtime.block_on(async {
                let transfer = async {
                    if up {
                        upload(client).await
                    } else {
                        download(client).await
                    }
                };
                timeout(PATIENCE, transfer).await.expect("it ends in time");
            });
            let rate = LARGE as f64 / 1e9 / start.elapsed().as_secs_f64();
            row.push(format!(
                "{} MiB, {} GB/s",
                figure(process.peak()),
                figure(rate)
            ));
            peaks.push(process.peak());
        }
        let mut delays = runtime.block_on(events(client, epoch));
        let worst = percentile(&mut delays, 1.0).as_secs_f64();
        row.push(time(percentile(&mut delays, 0.5).as_secs_f64()));
        row.push(time(worst));
        rows.push(row);
        let ours = *name != "nginx";
        bars.push(Bar::new(*name, worst * 1e3, ours).labelled(time(worst)));
        if ours {
            verdicts.push(verdict("Resident, 10 GiB down", peaks[0], 32.0, " MiB"));
            verdicts.push(verdict("Resident, 10 GiB up", peaks[1], 32.0, " MiB"));
            verdicts.push(verdict("The latest event", worst * 1e3, 5.0, " ms"));
        }
    }
    Table {
        name: "proxy-streams",
        title: "Streams through the proxy".to_owned(),
        about: "10 GiB in each direction: the largest resident size of the proxy's process meanwhile. Then a stream of \
                1,200 server-sent events, one each 10 ms, during which keyfob's token expires four times: how long after \
                it was sent an event arrived.",
        columns: vec![
            "",
            "10 GiB down",
            "10 GiB up",
            "an event, p50",
            "the latest",
        ],
        rows,
        measured: "the latest event, in ms",
        bars,
        verdicts,
    }
}

async fn download(client: &Client) {
    let response = send(client, Method::GET, "/download", empty()).await;
    assert_eq!(length(response).await, LARGE);
}

async fn upload(client: &Client) {
    let response = send(client, Method::PUT, "/upload", zeros(LARGE)).await;
    let body = response.into_body().collect().await.expect("a whole body");
    assert_eq!(body.to_bytes(), LARGE.to_string());
}

/// How late each event came.
async fn events(client: &Client, epoch: Instant) -> Vec<Duration> {
    let mut body = send(client, Method::GET, "/events", empty())
        .await
        .into_body();
    let (mut delays, mut text) = (Vec::new(), String::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.expect("an event");
        let arrived = epoch.elapsed();
        text.push_str(
            std::str::from_utf8(frame.data_ref().map_or(&[], |data| data)).expect("text"),
        );
        while let Some((event, rest)) = text.split_once("\n\n") {
            let sent = event
                .strip_prefix("data: ")
                .and_then(|sent| sent.parse().ok());
            delays.push(arrived - Duration::from_nanos(sent.expect("a time")));
            text = rest.to_owned();
        }
    }
    assert_eq!(delays.len(), EVENTS);
    delays
}

async fn send(client: &Client, method: Method, path: &str, body: Body) -> Response<Incoming> {
    let stream = TcpStream::connect(client.address).await.expect("a proxy");
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, client.address.to_string());
    if let Some(authorization) = &client.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let request = request.body(body).expect("a request");
    let response = sender.send_request(request).await.expect("a response");
    assert_eq!(response.status(), StatusCode::OK);
    response
}

async fn length(response: Response<Incoming>) -> u64 {
    let (mut body, mut length) = (response.into_body(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.expect("a whole body");
        length += frame.data_ref().map_or(0, Bytes::len) as u64;
    }
    length
}

fn empty() -> Body {
    Empty::new().boxed()
}

const PATIENCE: Duration = Duration::from_secs(300);
