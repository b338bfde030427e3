//! The requests that a test can make while the program runs.
//!
//! They go to a server of their own, so that they do not count as requests of the test.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use http::Method;
use keyfob_testkit::{Expect, Gate, Received, ScriptedResponse, Server, json};
use serde_json::Value;

use crate::echo::echo;
use crate::scripted::Scripted;
use crate::servers::TestServers;

/// Starts the server that handles the requests of a test.
pub(crate) fn start(servers: &Arc<TestServers>) -> Server {
    let server = Server::start();
    let control = Arc::new(Control {
        servers: Arc::clone(servers),
        gate: Mutex::default(),
    });
    for (method, path, action) in ACTIONS {
        let control = Arc::clone(&control);
        let expect = Expect::method(method, path);
        server.expect(
            expect.respond_with(move |received| match action(&control, received) {
                Ok(value) => ScriptedResponse::json(value),
                Err(reason) => ScriptedResponse::text(reason).with_status(400),
            }),
        );
    }
    server.expect(Expect::any().always(ScriptedResponse::status(404)));
    server
}

/// The servers that a test controls.
struct Control {
    servers: Arc<TestServers>,
    /// Holds back the responses that were scripted with `held`.
    gate: Mutex<Gate>,
}

type Action = fn(&Control, &Received) -> Result<Value, String>;

const ACTIONS: [(Method, &str, Action); 6] = [
    (Method::GET, "/counts", counts),
    (Method::GET, "/received", received),
    (Method::POST, "/next", next),
    (Method::POST, "/next-token", next_token),
    (Method::POST, "/release", release),
    (Method::POST, "/revoke", revoke),
];

fn counts(control: &Control, _: &Received) -> Result<Value, String> {
    let TestServers { endpoint, api } = &*control.servers;
    Ok(json!({
        "token_requests": endpoint.calls(),
        "tokens": endpoint.issuer().issued(),
        "requests": api.requests(),
        "statuses": api.counts(),
        "faults": api.faults(),
        "connections": api.server().connections(),
    }))
}

/// The newest requests that reached the API, oldest first.
fn received(control: &Control, _: &Received) -> Result<Value, String> {
    let received = control.servers.api.server().received();
    Ok(received.iter().map(echo).collect())
}

fn next(control: &Control, asked: &Received) -> Result<Value, String> {
    for response in scripted(asked)?.for_api(&control.gate())? {
        control.servers.api.next(response);
    }
    Ok(Value::Null)
}

fn next_token(control: &Control, asked: &Received) -> Result<Value, String> {
    for response in scripted(asked)?.for_token_endpoint(&control.gate())? {
        control.servers.endpoint.next(response);
    }
    Ok(Value::Null)
}

/// Sends all responses that are held back, including those whose request has not arrived yet.
fn release(control: &Control, _: &Received) -> Result<Value, String> {
    control.new_gate().open();
    Ok(Value::Null)
}

/// Revokes the newest token, and returns it if it was still valid.
fn revoke(control: &Control, _: &Received) -> Result<Value, String> {
    let issuer = control.servers.endpoint.issuer();
    let revoked = issuer.current().map(|current| current.token);
    issuer.revoke_current();
    Ok(json!({"revoked": revoked}))
}

fn scripted(asked: &Received) -> Result<Scripted, String> {
    serde_json::from_slice(&asked.body).map_err(|error| error.to_string())
}

impl Control {
    fn gate(&self) -> Gate {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.clone()
    }

    /// Replaces the gate with a closed one, and returns the old one.
    fn new_gate(&self) -> Gate {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut *gate)
    }
}
