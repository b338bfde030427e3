//! The blocking session.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::sync::atomic::Ordering;

use http::Method;
use keyfob::blocking::Session;
use keyfob_conformance::case::{Body, Request};
use keyfob_conformance::outcome::{CallerGot, Job, Outcome};
use reqwest::blocking::multipart::Form;

use crate::drivers::results::{failure, head, with_body};
use crate::drivers::settings::{configured, default_headers, headers};
use crate::drivers::source::source;

pub(super) fn run(job: &Job) -> Outcome {
    let (hook, calls) = source(&job.client);
    let mut builder = configured!(Session::builder(hook), &job.client);
    let defaults = default_headers(&job.client);
    if !defaults.is_empty() {
        builder = builder.client(reqwest::blocking::Client::builder().default_headers(defaults));
    }
    let results = match builder.build() {
        Ok(session) => {
            let requests = job.requests.iter();
            requests.map(|request| send(&session, request)).collect()
        }
        Err(error) => vec![failure(&error); job.requests.len()],
    };
    Outcome {
        results,
        fetches: Some(calls.load(Ordering::SeqCst)),
    }
}

fn send(session: &Session, request: &Request) -> CallerGot {
    let method = Method::try_from(request.method.as_str()).expect("a case has a valid method");
    let mut built = session
        .request(method, &request.url)
        .headers(headers(&request.headers));
    if request.idempotent {
        built = built.idempotent();
    }
    built = match &request.body {
        Body::None => built,
        Body::Bytes { text } => built.body(text.clone()),
        Body::File { path, offset, text } => {
            let mut file = File::open(path).expect("the runner's file");
            let start = SeekFrom::Start(*offset as u64);
            file.seek(start).expect("a file can be read from any place");
            // `reqwest` would announce the length of the whole file.
            let length = text.len() - offset;
            built.body(reqwest::blocking::Body::sized(file, length as u64))
        }
        Body::Generator { pieces } => built.body(reqwest::blocking::Body::new(reader(pieces))),
        Body::Multipart { fields } => {
            let fields = fields.iter().cloned();
            built.multipart(fields.fold(Form::new(), |form, (name, text)| form.text(name, text)))
        }
    };
    match built.send() {
        Ok(response) => {
            let head = head(response.status(), response.headers());
            with_body(head, response.bytes())
        }
        Err(error) => failure(&error),
    }
}

/// One piece after the other, of a length that is not known before.
fn reader(pieces: &[String]) -> Box<dyn Read + Send> {
    let pieces = pieces.iter().cloned().map(Cursor::new);
    pieces.fold(Box::new(std::io::empty()), |before, piece| {
        Box::new(before.chain(piece))
    })
}
