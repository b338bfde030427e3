//! The middleware, in a client of `reqwest-middleware`.

use std::sync::atomic::Ordering;

use http::Method;
use keyfob::middleware::AuthenticationMiddleware;
use keyfob_conformance::case::{Body, Request};
use keyfob_conformance::outcome::{CallerGot, Job, Outcome};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error};

use crate::drivers::results::{failure, head, with_body};
use crate::drivers::runtime::block_on;
use crate::drivers::session::{body, form};
use crate::drivers::settings::{configured, default_headers, headers};
use crate::drivers::source::source;

pub(super) fn run(job: &Job) -> Outcome {
    block_on(async {
        let (hook, calls) = source(&job.client);
        let builder = configured!(AuthenticationMiddleware::builder(hook), &job.client);
        let client = reqwest::Client::builder().default_headers(default_headers(&job.client));
        let mut results = Vec::new();
        match builder.build(client) {
            Ok((client, middleware)) => {
                let client = ClientBuilder::new(client).with(middleware).build();
                for request in &job.requests {
                    results.push(send(&client, request).await);
                }
            }
            Err(error) => results = vec![failure(&error); job.requests.len()],
        }
        Outcome {
            results,
            fetches: Some(calls.load(Ordering::SeqCst)),
        }
    })
}

async fn send(client: &ClientWithMiddleware, request: &Request) -> CallerGot {
    let method = Method::try_from(request.method.as_str()).expect("a case has a valid method");
    let mut built = client
        .request(method, &request.url)
        .headers(headers(&request.headers));
    built = match &request.body {
        Body::Multipart { fields } => built.multipart(form(fields)),
        other => match body(other).await {
            Some(body) => built.body(body),
            None => built,
        },
    };
    match built.send().await {
        Ok(response) => {
            let head = head(response.status(), response.headers());
            with_body(head, response.bytes().await)
        }
        Err(Error::Reqwest(error)) => failure(&error),
        Err(error) => failure(&error),
    }
}
