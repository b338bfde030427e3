//! The source of tokens, which counts its calls.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::HeaderName;
use keyfob::source::Hook;
use keyfob::{Error, Token};
use keyfob_conformance::case::{Client, Fetched};

/// The hook of a job, and how often it was called.
pub(super) fn source(client: &Client) -> (Hook, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let (fetches, header) = (client.fetches.clone(), client.header.clone());
    let hook = keyfob::hook(move |_| {
        let call = counted.fetch_add(1, Ordering::SeqCst);
        let token = token(&fetches, header.as_deref(), call);
        async { token }
    });
    (hook, calls)
}

fn token(fetches: &[Fetched], header: Option<&str>, call: u32) -> Result<Token, Error> {
    let text = match fetches.get(call as usize) {
        Some(Fetched::Failure) => {
            let cause = io::Error::other("as scripted");
            return Err(Error::unavailable("the source failed").caused_by(cause));
        }
        Some(Fetched::Token(text)) => text.clone(),
        None => format!("token-{}", call + 1),
    };
    let token = Token::new(text)?.expires_in(HOUR);
    Ok(
        match header.and_then(|name| name.parse::<HeaderName>().ok()) {
            Some(name) => token.header_name(name),
            None => token,
        },
    )
}

const HOUR: Duration = Duration::from_secs(3600);
