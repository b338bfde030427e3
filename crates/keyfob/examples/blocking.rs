//! The blocking session, in a program without an async runtime.
//!
//! `cargo run -p keyfob --example blocking` runs against an API on this machine that fails twice.

use std::fs;

use keyfob::FileToken;
use keyfob::blocking::Session;
use keyfob::error::BoxError;
use keyfob_testkit::{Expect, ScriptedResponse, Server, json};

fn main() -> Result<(), BoxError> {
    let server = Server::start();
    server.expect(
        Expect::get("/v1/reports")
            .bearer("t0ken")
            .respond(ScriptedResponse::unavailable())
            .respond(ScriptedResponse::too_many_requests("1"))
            .respond(ScriptedResponse::json(json!({"count": 42}))),
    );

    // Another program writes the token to this file, and replaces it before it expires.
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("token");
    fs::write(&file, "t0ken")?;

    let session = Session::new(server.url_for("/v1/"), FileToken::new(file))?;
    let response = session.get("reports").send()?;
    // 503 and 429 were retried. A `Retry-After` of one second was waited for.
    println!("{} {}", response.status(), response.text()?);
    println!("the server received {} requests", server.calls());
    Ok(())
}
