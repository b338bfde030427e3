//! The async session.

use std::sync::atomic::Ordering;

use futures_util::{StreamExt, stream};
use http::Method;
use keyfob::Session;
use keyfob_conformance::case::{Body, Request};
use keyfob_conformance::outcome::{CallerGot, Job, Outcome};
use reqwest::multipart::Form;
use tokio::io::AsyncSeekExt;

use crate::drivers::results::{failure, head, with_body};
use crate::drivers::runtime::block_on;
use crate::drivers::settings::{configured, default_headers, headers};
use crate::drivers::source::source;

pub(super) fn run(job: &Job) -> Outcome {
    block_on(async {
        let (hook, calls) = source(&job.client);
        let mut results = Vec::new();
        let mut builder = configured!(Session::builder(hook), &job.client);
        let defaults = default_headers(&job.client);
        if !defaults.is_empty() {
            builder = builder.client(reqwest::Client::builder().default_headers(defaults));
        }
        let session = match builder.build() {
            Ok(session) => session,
            Err(error) => {
                return Outcome {
                    results: vec![failure(&error); job.requests.len()],
                    fetches: Some(0),
                };
            }
        };
        for request in &job.requests {
            results.push(send(&session, request).await);
        }
        Outcome {
            results,
            fetches: Some(calls.load(Ordering::SeqCst)),
        }
    })
}

async fn send(session: &Session, request: &Request) -> CallerGot {
    let method = Method::try_from(request.method.as_str()).expect("a case has a valid method");
    let mut built = session
        .request(method, &request.url)
        .headers(headers(&request.headers));
    if request.idempotent {
        built = built.idempotent();
    }
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
        Err(error) => failure(&error),
    }
}

/// The body as `reqwest` sends it; `None` if there is none or it is a form.
pub(super) async fn body(body: &Body) -> Option<reqwest::Body> {
    match body {
        Body::None | Body::Multipart { .. } => None,
        Body::Bytes { text } => Some(text.clone().into()),
        Body::File { path, offset, .. } => {
            let mut file = tokio::fs::File::open(path)
                .await
                .expect("the runner's file");
            let start = io_position(*offset);
            file.seek(start)
                .await
                .expect("a file can be read from any place");
            Some(file.into())
        }
        Body::Generator { pieces } => Some(reqwest::Body::wrap_stream(generator(pieces))),
    }
}

fn io_position(offset: usize) -> std::io::SeekFrom {
    std::io::SeekFrom::Start(offset as u64)
}

/// Pieces that are never ready at once, so that no client takes them for a body in memory.
pub(super) fn generator(
    pieces: &[String],
) -> impl futures_util::Stream<Item = std::io::Result<bytes::Bytes>> + Send + 'static {
    stream::iter(pieces.to_vec()).then(|piece| async move {
        tokio::task::yield_now().await;
        Ok(piece.into())
    })
}

pub(super) fn form(fields: &[(String, String)]) -> Form {
    let fields = fields.iter().cloned();
    fields.fold(Form::new(), |form, (name, text)| form.text(name, text))
}
