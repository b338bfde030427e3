//! The expectations of one server, and what came instead.

use std::any::Any;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use crate::expect::Expect;
use crate::lock::lock;
use crate::received::Received;
use crate::response::{ScriptedResponse, Upload};
use crate::steps::Responder;

/// The expectations of one server, and what came instead.
#[derive(Debug, Default)]
pub(crate) struct Script {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    scenes: Vec<Scene>,
    surprises: Vec<String>,
    surprise_count: usize,
    reported: Option<usize>,
}

/// An expectation, and how often it was met.
#[derive(Debug)]
struct Scene {
    expect: Expect,
    calls: usize,
}

impl Script {
    pub(crate) fn expect(&self, expect: Expect) {
        assert!(!expect.steps().is_empty(), "{expect}: no answer was given");
        lock(&self.state).scenes.push(Scene { expect, calls: 0 });
    }

    /// How much of the body to read before [`respond`](Self::respond) is asked.
    pub(crate) fn upload(&self, head: &Received) -> Upload {
        let state = lock(&self.state);
        let mut scenes = state.scenes.iter();
        let upload = scenes.find_map(|scene| scene.expect.upload(head, scene.calls));
        upload.unwrap_or(Upload::Whole)
    }

    pub(crate) fn respond(&self, received: &Received) -> ScriptedResponse {
        let next = lock(&self.state).next_responder(received);
        let responder = match next {
            Ok(responder) => responder,
            Err(why) => return self.surprise(format!("unexpected: {}: {why}", name(received))),
        };
        let respond = match responder {
            Responder::Fixed(answer) => return answer,
            Responder::Computed(respond) => respond,
        };
        catch_unwind(AssertUnwindSafe(|| respond(received))).unwrap_or_else(|panic| {
            let said = message(panic.as_ref());
            self.surprise(format!(
                "panicked: the closure for {}: {said}",
                name(received)
            ))
        })
    }

    /// What is missing and what surprised; `None` if all is as expected.
    pub(crate) fn report(&self) -> Option<String> {
        let mut state = lock(&self.state);
        state.reported = Some(state.surprise_count);
        let mut report = String::new();
        for Scene { expect, calls } in &state.scenes {
            let least = expect.steps().least();
            if *calls < least {
                let _ = write!(report, "\n  missing: {expect}: {calls} of {least} came");
            }
        }
        for surprise in &state.surprises {
            let _ = write!(report, "\n  {surprise}");
        }
        let more = state.surprise_count - state.surprises.len();
        if more > 0 {
            let _ = write!(report, "\n  and {more} more");
        }
        (!report.is_empty()).then_some(report)
    }

    /// Whether everything there is to report was reported.
    pub(crate) fn is_reported(&self) -> bool {
        let state = lock(&self.state);
        state.reported == Some(state.surprise_count)
    }

    fn surprise(&self, what: String) -> ScriptedResponse {
        let answer =
            ScriptedResponse::text(format!("the scripted server did not expect this\n{what}\n"));
        let mut state = lock(&self.state);
        state.surprise_count += 1;
        if state.surprises.len() < SURPRISES_KEPT {
            state.surprises.push(what);
        }
        answer.with_status(SURPRISE)
    }
}

impl State {
    fn next_responder(&mut self, received: &Received) -> Result<Responder, String> {
        let mut why = Vec::new();
        for Scene { expect, calls } in &mut self.scenes {
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
            why.push(format!("all {calls} expected calls came before"));
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
    let said = owned.or_else(|| panic.downcast_ref::<&str>().copied());
    said.unwrap_or("no message")
}

/// A status that nobody takes for a server's own, and that is not usually retried.
const SURPRISE: u16 = 599;

/// How many surprises a report tells in full.
const SURPRISES_KEPT: usize = 50;
