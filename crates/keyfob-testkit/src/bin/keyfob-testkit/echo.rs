//! A request as the server received it, in JSON.

use std::collections::BTreeMap;

use keyfob_testkit::{Received, json};
use serde_json::Value;

/// The request as it was sent, so that a test can check it.
///
/// Each header has a list of values, because a header may occur twice. The body is included if it is text and was kept in full.
pub(crate) fn echo(received: &Received) -> Value {
    let is_whole = received.body.len() as u64 == received.body_length;
    let text = std::str::from_utf8(&received.body).ok();
    json!({
        "method": received.method.as_str(),
        "path": received.path,
        "query": received.query,
        "headers": headers(received),
        "body": text.filter(|_| is_whole),
        "body_length": received.body_length,
        // Many languages read numbers in JSON as floats, and would lose bits of a 64-bit number.
        "checksum": format!("{:016x}", received.checksum),
        "connection": received.connection,
    })
}

fn headers(received: &Received) -> BTreeMap<&str, Vec<String>> {
    let mut headers = BTreeMap::<&str, Vec<String>>::new();
    for (name, value) in &received.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.as_str()).or_default().push(value);
    }
    headers
}
