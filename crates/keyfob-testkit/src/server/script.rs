//! The expectations of one server, and the requests that did not meet them.

use std::any::Any;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use crate::lock::lock;
use crate::server::expect::Expect;
use crate::server::received::Received;
use crate::server::response::{ScriptedResponse, Upload};
use crate::server::steps::Responder;

/// The expectations of one server, and the requests that did not meet them.
#[derive(Debug, Default)]
pub(crate) struct Script {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    expected: Vec<Expected>,
    unexpected: Vec<String>,
    unexpected_count: usize,
    reported: Option<usize>,
}

/// An expectation, and how many requests met it.
#[derive(Debug)]
struct Expected {
    expect: Expect,
    calls: usize,
}

impl Script {
    pub(crate) fn expect(&self, expect: Expect) {
        assert!(!expect.steps().is_empty(), "{expect}: it has no response");
        lock(&self.state)
            .expected
            .push(Expected { expect, calls: 0 });
    }

    /// How much of the body to read before [`respond`](Self::respond) is called.
    pub(crate) fn upload(&self, head: &Received) -> Upload {
        let state = lock(&self.state);
        let mut expected = state.expected.iter();
        let upload = expected.find_map(|expected| expected.expect.upload(head, expected.calls));
        upload.unwrap_or(Upload::Whole)
    }

    pub(crate) fn respond(&self, received: &Received) -> ScriptedResponse {
        let next = lock(&self.state).next_responder(received);
        let responder = match next {
            Ok(responder) => responder,
            Err(why) => return self.unexpected(format!("unexpected: {}: {why}", name(received))),
        };
        let respond = match responder {
            Responder::Fixed(response) => return response,
            Responder::Computed(respond) => respond,
        };
        catch_unwind(AssertUnwindSafe(|| respond(received))).unwrap_or_else(|panic| {
            let text = message(panic.as_ref());
            self.unexpected(format!(
                "panicked: the closure for {}: {text}",
                name(received)
            ))
        })
    }

    /// The missing and the unexpected requests; `None` if all requests were as expected.
    pub(crate) fn report(&self) -> Option<String> {
        let mut state = lock(&self.state);
        state.reported = Some(state.unexpected_count);
        let mut report = String::new();
        for Expected { expect, calls } in &state.expected {
            let least = expect.steps().least();
            if *calls < least {
                let _ = write!(report, "\n  missing: {expect}: {calls} of {least} arrived");
            }
        }
        for line in &state.unexpected {
            let _ = write!(report, "\n  {line}");
        }
        let more = state.unexpected_count - state.unexpected.len();
        if more > 0 {
            let _ = write!(report, "\n  and {more} more");
        }
        (!report.is_empty()).then_some(report)
    }

    /// Whether all unexpected requests were reported.
    pub(crate) fn is_reported(&self) -> bool {
        let state = lock(&self.state);
        state.reported == Some(state.unexpected_count)
    }

    fn unexpected(&self, what: String) -> ScriptedResponse {
        let response =
            ScriptedResponse::text(format!("the scripted server did not expect this\n{what}\n"));
        let mut state = lock(&self.state);
        state.unexpected_count += 1;
        if state.unexpected.len() < UNEXPECTED_LIMIT {
            state.unexpected.push(what);
        }
        response.with_status(UNEXPECTED_STATUS)
    }
}

impl State {
    fn next_responder(&mut self, received: &Received) -> Result<Responder, String> {
        let mut why = Vec::new();
        for Expected { expect, calls } in &mut self.expected {
            if !expect.is_for(received) {
                continue;
            }
            if let Some(unmet) = expect.unmet(received) {
                why.push(format!("not as expected: {unmet}"));
                continue;
            }
            if let Some(responder) = expect.steps().responder(*calls) {
                *calls += 1;
                return Ok(responder.clone());
            }
            why.push(format!("all {calls} expected requests arrived before"));
        }
        if why.is_empty() {
            why.push("nothing is expected on this route".to_owned());
        }
        Err(why.join("; "))
    }
}

fn name(received: &Received) -> String {
    format!("{} {}", received.method, received.path)
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    let text = owned.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message")
}

/// A status that no real server sends, and that clients do not retry.
const UNEXPECTED_STATUS: u16 = 599;

/// How many unexpected requests a report lists.
const UNEXPECTED_LIMIT: usize = 50;
