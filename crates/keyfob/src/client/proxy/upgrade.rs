//! Connections that change to another protocol, such as WebSocket (RFC 9110 §7.8).

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;

/// Passes bytes on in both directions from the moment at which both sides have changed, until both have ended.
pub(super) fn splice(client: OnUpgrade, upstream: OnUpgrade) {
    tokio::spawn(async move {
        // One side is gone if its upgrade fails, so there is nothing to pass on and nobody to tell.
        let (Ok(client), Ok(upstream)) = (client.await, upstream.await) else {
            return;
        };
        let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
        let copied = copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER);
        if let Err(error) = copied.await {
            tracing::debug!(target: "keyfob", %error, "an upgraded connection through the proxy broke");
        }
    });
}

/// Names the protocol in the head of a message.
pub(super) fn name(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

const BUFFER: usize = 16 * 1024;
