//! What does a whole request cost, on loopback?

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use keyfob::tower::{AuthenticationLayer, AuthenticationService};
use keyfob::{Session, TokenCache};
use keyfob_testkit::{Expect, ScriptedResponse, Server};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service};

use crate::chart::Bar;
use crate::figure::figure;
use crate::measure::{median, on_one_processor, process_cpu};
use crate::source::text;
use crate::table::{Table, verdict};

/// How the requests are sent.
#[derive(Clone, Copy)]
struct Setting {
    name: &'static str,
    http2: bool,
    in_flight: usize,
}

/// Sends this many requests, with this many in flight.
type Send = Box<dyn Fn(usize, usize)>;

/// A request, until the end of its response.
type One = Pin<Box<dyn Future<Output = ()>>>;

/// The server in its own process, so that its CPU time is not counted for the clients.
pub fn serve() {
    let server = Server::builder().request_limit(0).start();
    server.expect(Expect::any().always(ScriptedResponse::json(json!({"value": 42}))));
    println!("{}", server.url());
    // Runs until the client's process ends, which closes the standard input of this one.
    let _ = std::io::stdin().lines().next();
}

struct Served {
    process: Child,
    url: String,
}

impl Served {
    fn start() -> Self {
        let program = std::env::current_exe().expect("a path");
        let mut process = Command::new(program)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let mut url = String::new();
        let output = process.stdout.take().expect("its output");
        BufReader::new(output)
            .read_line(&mut url)
            .expect("its address");
        Self {
            process,
            url: url.trim().to_owned(),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

pub fn ask() -> Table {
    let (mut rows, mut bars, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    on_one_processor(|| {
        for setting in SETTINGS {
            run(*setting, &mut rows, &mut bars, &mut verdicts);
        }
    });
    Table {
        name: "request",
        title: "A request end to end".to_owned(),
        about: "A GET on loopback. The response is a short JSON body, read to its end. The server is a separate process \
                on the same processor. CPU is everything that the client's process uses, system calls included. The \
                plain clients send the same ready header. All keyfob clients have a timeout. Of the other clients, the \
                blocking client of `reqwest` has one, and the client whose name says so. Medians of batches that \
                alternate; each batch begins with some requests that do not count.",
        columns: vec![
            "",
            "protocol, in flight",
            "CPU to hyper-util",
            "CPU to reqwest",
            "requests/s to reqwest",
            "CPU of one",
        ],
        rows,
        measured: "CPU of a request on HTTP/1.1, one at a time, ratio to hyper-util",
        bars,
        verdicts,
    }
}

fn run(
    setting: Setting,
    rows: &mut Vec<Vec<String>>,
    bars: &mut Vec<Bar>,
    verdicts: &mut Vec<String>,
) {
    let served = Served::start();
    let clients = clients(&served.url, setting);
    let mut cpu = vec![Vec::new(); clients.len()];
    let mut rates = vec![Vec::new(); clients.len()];
    for round in 0..ROUNDS {
        for turn in 0..clients.len() {
            // A batch that does not count removes the effects of the previous client on caches and threads.
            let place = (turn + round) % clients.len();
            let send = &clients[place].1;
            send(LEAD, setting.in_flight);
            let (before, start) = (process_cpu(), Instant::now());
            send(BATCH, setting.in_flight);
            let (used, took) = (process_cpu() - before, start.elapsed().as_secs_f64());
            // The first rounds open connections and fill caches.
            if round >= 3 {
                cpu[place].push(used / BATCH as f64);
                rates[place].push(BATCH as f64 / took);
            }
        }
    }
    let to = |base: usize, place: usize, of: &[Vec<f64>]| {
        let ratios = of[place]
            .iter()
            .zip(&of[base])
            .map(|(one, base)| one / base);
        median(&mut ratios.collect::<Vec<_>>())
    };
    for (place, (name, _)) in clients.iter().enumerate() {
        let (to_hyper, to_reqwest) = (to(0, place, &cpu), to(1, place, &cpu));
        rows.push(vec![
            (*name).to_owned(),
            setting.name.to_owned(),
            figure(to_hyper),
            figure(to_reqwest),
            figure(to(1, place, &rates)),
            format!("{:.1} µs", median(&mut cpu[place].clone()) * 1e6),
        ]);
        let plain = !setting.http2 && setting.in_flight == 1;
        if plain {
            bars.push(Bar::new(*name, to_hyper, name.starts_with("keyfob")));
        }
        match *name {
            "keyfob, async" => verdicts.push(verdict(
                &format!("session to reqwest, {}", setting.name),
                to_reqwest,
                1.03,
                "",
            )),
            "keyfob, tower" => verdicts.push(verdict(
                &format!("layer to hyper-util, {}", setting.name),
                to_hyper,
                1.03,
                "",
            )),
            _ => {}
        }
    }
}

fn clients(url: &str, setting: Setting) -> Vec<(&'static str, Send)> {
    let tokens = TokenCache::new(keyfob::hook_blocking(|_| {
        Ok::<_, std::io::Error>((text(0), Duration::from_secs(3600)))
    }));
    let header = tokens
        .lease_blocking(None)
        .expect("a token")
        .header()
        .clone();
    // Each runtime has its own client, because a connection works only on the runtime that opened it.
    let reqwest = || reqwest_client(setting).build().expect("a client");
    let bounded = reqwest_client(setting).read_timeout(Duration::from_secs(20));
    let bounded = bounded.build().expect("a client");
    vec![
        (
            "hyper-util",
            sends(hyper(setting), with_hyper(url, header.clone())),
        ),
        (
            "reqwest",
            sends(reqwest(), with_reqwest(url, header.clone())),
        ),
        (
            "reqwest with a read timeout",
            sends(bounded, with_reqwest(url, header.clone())),
        ),
        (
            "reqwest, blocking",
            plain_blocking(url, header.clone(), setting),
        ),
        (
            "reqwest-middleware + retry",
            sends(with_retries(reqwest()), with_middleware(url, header)),
        ),
        (
            "keyfob, async",
            sends(session(url, &tokens, setting), with_session(url)),
        ),
        ("keyfob, blocking", blocking(url, &tokens, setting)),
        (
            "keyfob, tower",
            sends(layer(url, &tokens, setting), with_layer(url)),
        ),
    ]
}

fn reqwest_client(setting: Setting) -> reqwest::ClientBuilder {
    let client = reqwest::Client::builder().no_proxy();
    match setting.http2 {
        true => client.http2_prior_knowledge(),
        false => client,
    }
}

fn hyper(setting: Setting) -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .http2_only(setting.http2)
        .build_http()
}

fn with_retries(client: reqwest::Client) -> ClientWithMiddleware {
    let policy = ExponentialBackoff::builder().build_with_max_retries(3);
    ClientBuilder::new(client)
        .with(RetryTransientMiddleware::new_with_policy(policy))
        .build()
}

fn session(url: &str, tokens: &TokenCache, setting: Setting) -> Session {
    let builder = Session::builder(tokens.clone()).base_url(url);
    let builder = builder.client(reqwest_client(setting));
    builder.build().expect("a session")
}

fn layer(
    url: &str,
    tokens: &TokenCache,
    setting: Setting,
) -> AuthenticationService<Client<HttpConnector, Full<Bytes>>> {
    let layer = AuthenticationLayer::new(url, tokens.clone()).expect("a layer");
    layer.layer(hyper(setting))
}

/// Requests of one client on its own runtime with one thread.
fn sends<C: Clone + 'static, F: Future<Output = ()> + 'static>(
    client: C,
    one: impl Fn(C) -> F + 'static,
) -> Send {
    let runtime = runtime();
    Box::new(move |requests, in_flight| {
        runtime.block_on(async {
            let worker = async || {
                for _ in 0..requests / in_flight {
                    one(client.clone()).await;
                }
            };
            join_all((0..in_flight).map(|_| worker())).await;
        });
    })
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn with_hyper(
    url: &str,
    header: HeaderValue,
) -> impl Fn(Client<HttpConnector, Full<Bytes>>) -> One + 'static {
    let url = url.to_owned();
    move |mut client| {
        let request = Request::get(&url).header(AUTHORIZATION, header.clone());
        let answer = client.call(request.body(Full::default()).expect("a request"));
        Box::pin(async {
            drop(
                answer
                    .await
                    .expect("an answer")
                    .into_body()
                    .collect()
                    .await
                    .expect("a body"),
            )
        })
    }
}

fn with_layer(
    url: &str,
) -> impl Fn(AuthenticationService<Client<HttpConnector, Full<Bytes>>>) -> One + 'static {
    let url = url.to_owned();
    move |mut client| {
        let answer = client.call(Request::get(&url).body(Full::default()).expect("a request"));
        Box::pin(async {
            drop(
                answer
                    .await
                    .expect("an answer")
                    .into_body()
                    .collect()
                    .await
                    .expect("a body"),
            )
        })
    }
}

fn with_reqwest(url: &str, header: HeaderValue) -> impl Fn(reqwest::Client) -> One + 'static {
    let url = url.to_owned();
    move |client| {
        let answer = client
            .get(&url)
            .header(AUTHORIZATION, header.clone())
            .send();
        Box::pin(async {
            drop(
                answer
                    .await
                    .expect("an answer")
                    .bytes()
                    .await
                    .expect("a body"),
            )
        })
    }
}

fn with_middleware(
    url: &str,
    header: HeaderValue,
) -> impl Fn(ClientWithMiddleware) -> One + 'static {
    let url = url.to_owned();
    move |client| {
        let request = client.get(&url).header(AUTHORIZATION, header.clone());
        Box::pin(async {
            drop(
                request
                    .send()
                    .await
                    .expect("an answer")
                    .bytes()
                    .await
                    .expect("a body"),
            )
        })
    }
}

fn with_session(url: &str) -> impl Fn(Session) -> One + 'static {
    let url = url.to_owned();
    move |session| {
        let request = session.get(&url);
        Box::pin(async {
            drop(
                request
                    .send()
                    .await
                    .expect("an answer")
                    .bytes()
                    .await
                    .expect("a body"),
            )
        })
    }
}

fn blocking_client(setting: Setting) -> reqwest::blocking::ClientBuilder {
    let client = reqwest::blocking::Client::builder().no_proxy();
    match setting.http2 {
        true => client.http2_prior_knowledge(),
        false => client,
    }
}

fn plain_blocking(url: &str, header: HeaderValue, setting: Setting) -> Send {
    let client = blocking_client(setting).build().expect("a client");
    let url = url.to_owned();
    on_threads(move || {
        let request = client.get(&url).header(AUTHORIZATION, header.clone());
        let answer = request.send().expect("an answer");
        drop(answer.bytes().expect("a body"));
    })
}

fn blocking(url: &str, tokens: &TokenCache, setting: Setting) -> Send {
    let builder = keyfob::blocking::Session::builder(tokens.clone()).base_url(url);
    let session = builder.client(blocking_client(setting)).build();
    let session = session.expect("a session");
    let url = url.to_owned();
    on_threads(move || {
        let answer = session.get(&url).send().expect("an answer");
        drop(answer.bytes().expect("a body"));
    })
}

/// Requests of one client, with one thread for each request in flight.
fn on_threads(one: impl Fn() + Sync + 'static) -> Send {
    Box::new(move |requests, in_flight| {
        thread::scope(|scope| {
            for _ in 0..in_flight {
                scope.spawn(|| (0..requests / in_flight).for_each(|_| one()));
            }
        });
    })
}

const SETTINGS: &[Setting] = &[
    Setting {
        name: "HTTP/1.1, 1",
        http2: false,
        in_flight: 1,
    },
    Setting {
        name: "HTTP/1.1, 64",
        http2: false,
        in_flight: 64,
    },
    Setting {
        name: "HTTP/2, 1",
        http2: true,
        in_flight: 1,
    },
    Setting {
        name: "HTTP/2, 64",
        http2: true,
        in_flight: 64,
    },
];
const ROUNDS: usize = 41;

/// How many requests of a client are measured in each round, and how many are sent before.
const BATCH: usize = 640;
const LEAD: usize = 128;
