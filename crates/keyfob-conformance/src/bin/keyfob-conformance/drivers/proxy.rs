//! The reverse proxy, between a client of `hyper-util` that knows only the proxy and the servers of a case.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use keyfob::proxy::{Arrival, Proxy, Route, StrictStream};
use keyfob::{Error, Origin, TokenCache};
use keyfob_conformance::case::{Client as Settings, Request};
use keyfob_conformance::outcome::{CallerGot, ErrorName, Job, Outcome};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::drivers::results::{failure, head, with_body};
use crate::drivers::runtime::block_on;
use crate::drivers::settings::{policy, statuses};
use crate::drivers::source::source;
use crate::drivers::tower::{Sent, built, whole};

pub(super) fn run(job: &Job) -> Outcome {
    block_on(async {
        let (hook, calls) = source(&job.client);
        let results = match routes(job, &TokenCache::new(hook)) {
            Ok((names, proxy)) => {
                let address = serve(proxy).await;
                let client = Client::builder(TokioExecutor::new()).build_http();
                let mut results = Vec::new();
                for request in &job.requests {
                    results.push(send(&client, &job.client, request, (address, &names)).await);
                }
                results
            }
            Err(error) => vec![failure(&error); job.requests.len()],
        };
        Outcome {
            results,
            fetches: Some(calls.load(Ordering::SeqCst)),
        }
    })
}

/// A route for each origin that the credential is bound to, or else for each that the requests name.
fn routes(job: &Job, tokens: &TokenCache) -> Result<(HashMap<Origin, String>, Proxy), Error> {
    let client = &job.client;
    let (mut names, mut routes) = (HashMap::new(), Vec::new());
    let bound = client.origins.iter().chain(&client.plain_http);
    let named = job.requests.iter().map(|request| &request.url);
    let origins: Vec<Origin> = match client.origins.is_empty() && client.plain_http.is_empty() {
        true => named.filter_map(|url| url.parse().ok()).collect(),
        false => bound
            .map(|origin| origin.parse())
            .collect::<Result<_, _>>()?,
    };
    for origin in origins {
        if names.contains_key(&origin) {
            continue;
        }
        let name = format!("route-{}", names.len());
        names.insert(origin.clone(), name.clone());
        let builder = Route::builder(name, origin.to_string(), tokens.clone())
            .rejected_statuses(statuses(&client.rejected_statuses))
            .timeout(Duration::from_millis(client.timeout_ms))
            .retry(policy(&client.retry));
        let is_plain = |text: &String| text.parse::<Origin>().is_ok_and(|plain| plain == origin);
        routes.push(match client.plain_http.iter().any(is_plain) {
            true => builder.allow_plain_http().build()?,
            false => builder.build()?,
        });
    }
    Ok((names, Proxy::new(routes)?))
}

async fn serve(proxy: Proxy) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let proxy = proxy.clone();
            let service = service_fn(move |request| {
                let proxy = proxy.clone();
                async move { Ok::<_, Infallible>(proxy.respond(request, &Arrival::by_path()).await) }
            });
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let stream = TokioIo::new(StrictStream::new(stream));
                server.serve_connection_with_upgrades(stream, service).await
            });
        }
    });
    address
}

/// Sends a request as a program does that was given the proxy's URL in place of the server's.
async fn send(
    client: &Client<HttpConnector, Sent>,
    settings: &Settings,
    request: &Request,
    (address, names): (SocketAddr, &HashMap<Origin, String>),
) -> CallerGot {
    let unusable = || CallerGot {
        error: Some(ErrorName::Input),
        ..CallerGot::default()
    };
    let Ok(url) = request.url.parse::<http::Uri>() else {
        return unusable();
    };
    let origin = request.url.parse::<Origin>().ok();
    let name = origin.and_then(|origin| names.get(&origin).cloned());
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let name = name.unwrap_or_else(|| "no-such-route".to_owned());
    let Ok(uri) = format!("http://{address}/{name}{path}").parse() else {
        return unusable();
    };
    match client.request(built(settings, request, uri).await).await {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            let head = head(parts.status, &parts.headers);
            let body = whole(body, Duration::from_millis(settings.timeout_ms)).await;
            with_problem(with_body(head, body))
        }
        Err(error) => failure(&error),
    }
}

/// The error that the proxy says, in place of the response that says it.
fn with_problem(got: CallerGot) -> CallerGot {
    let is_problem = |(name, value): &(String, String)| {
        name == "content-type" && value == "application/problem+json"
    };
    if !got.headers.iter().any(is_problem) {
        return got;
    }
    // There is no text after HEAD.
    let problem: Value =
        serde_json::from_str(got.body.as_deref().unwrap_or_default()).unwrap_or_default();
    let error = match (problem["kind"].as_str(), got.status) {
        (Some("input"), _) => ErrorName::Input,
        (Some("origin"), _) => ErrorName::Origin,
        (None | Some("transport"), Some(504)) => ErrorName::Timeout,
        (None | Some("transport"), _) => ErrorName::Transport,
        (Some(_), _) => ErrorName::NoToken,
    };
    CallerGot {
        error: Some(error),
        text: problem["detail"].as_str().map(str::to_owned),
        ..CallerGot::default()
    }
}
