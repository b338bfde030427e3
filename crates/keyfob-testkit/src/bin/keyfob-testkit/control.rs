//! What a test can ask while the program runs: a server of its own, so that nothing here counts as a request of the test.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use http::Method;
use keyfob_testkit::{Expect, Gate, Received, ScriptedResponse, Server, json};
use serde_json::Value;

use crate::echo::echo;
use crate::outside::Outside;
use crate::scripted::Scripted;

/// Starts the server that carries out what a test asks.
pub(crate) fn start(outside: &Arc<Outside>) -> Server {
    let server = Server::start();
    let desk = Arc::new(Desk {
        outside: Arc::clone(outside),
        gate: Mutex::default(),
    });
    for (method, path, action) in ACTIONS {
        let desk = Arc::clone(&desk);
        let expect = Expect::method(method, path);
        server.expect(
            expect.respond_with(move |received| match action(&desk, received) {
                Ok(value) => ScriptedResponse::json(value),
                Err(reason) => ScriptedResponse::text(reason).with_status(400),
            }),
        );
    }
    server.expect(Expect::any().always(ScriptedResponse::status(404)));
    server
}

/// Where the asking is answered.
struct Desk {
    outside: Arc<Outside>,
    /// Holds the answers that were scripted to be held.
    gate: Mutex<Gate>,
}

type Action = fn(&Desk, &Received) -> Result<Value, String>;

const ACTIONS: [(Method, &str, Action); 6] = [
    (Method::GET, "/counts", counts),
    (Method::GET, "/received", received),
    (Method::POST, "/next", next),
    (Method::POST, "/next-token", next_token),
    (Method::POST, "/release", release),
    (Method::POST, "/revoke", revoke),
];

fn counts(desk: &Desk, _: &Received) -> Result<Value, String> {
    let Outside { endpoint, api } = &*desk.outside;
    Ok(json!({
        "token_requests": endpoint.calls(),
        "tokens": endpoint.issuer().issued(),
        "requests": api.requests(),
        "statuses": api.counts(),
        "faults": api.faults(),
        "connections": api.server().connections(),
    }))
}

/// The newest requests that reached the API, oldest first, whatever was answered.
fn received(desk: &Desk, _: &Received) -> Result<Value, String> {
    let received = desk.outside.api.server().received();
    Ok(received.iter().map(echo).collect())
}

fn next(desk: &Desk, asked: &Received) -> Result<Value, String> {
    for answer in scripted(asked)?.for_api(&desk.gate())? {
        desk.outside.api.next(answer);
    }
    Ok(Value::Null)
}

fn next_token(desk: &Desk, asked: &Received) -> Result<Value, String> {
    for answer in scripted(asked)?.for_issuer(&desk.gate())? {
        desk.outside.endpoint.next(answer);
    }
    Ok(Value::Null)
}

/// Lets go all answers that are held, also those that no request came for yet.
fn release(desk: &Desk, _: &Received) -> Result<Value, String> {
    desk.new_gate().open();
    Ok(Value::Null)
}

/// Revokes the newest token; says which, if it was still good.
fn revoke(desk: &Desk, _: &Received) -> Result<Value, String> {
    let issuer = desk.outside.endpoint.issuer();
    let revoked = issuer.current().map(|current| current.token);
    issuer.revoke_current();
    Ok(json!({"revoked": revoked}))
}

fn scripted(asked: &Received) -> Result<Scripted, String> {
    serde_json::from_slice(&asked.body).map_err(|error| error.to_string())
}

impl Desk {
    fn gate(&self) -> Gate {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.clone()
    }

    /// Puts a closed gate in place of the one there was.
    fn new_gate(&self) -> Gate {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut *gate)
    }
}
