//! Connections that change to another protocol, such as WebSocket (RFC 9110 §7.8).

use std::sync::Arc;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Request};
use hyper::upgrade::{OnUpgrade, on};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;

use crate::client::proxy::server::connection::Connection;

/// The side of the client.
pub(super) struct Client {
    upgrade: OnUpgrade,
    /// Says when the tunnel has to end, and is held for as long as it lasts.
    connection: Option<Arc<Connection>>,
}

impl Client {
    pub(super) fn of<B>(request: &mut Request<B>) -> Self {
        Self {
            upgrade: on(&mut *request),
            connection: request.extensions_mut().remove(),
        }
    }
}

/// Passes bytes on in both directions from the moment at which both sides have changed, until both have ended.
pub(super) fn splice(client: Client, upstream: OnUpgrade) {
    let Client {
        upgrade,
        connection,
    } = client;
    let tunnel = async {
        // One side is gone if its upgrade fails, so there is nothing to pass on.
        let (Ok(client), Ok(upstream)) = (upgrade.await, upstream.await) else {
            return;
        };
        let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
        let copied = copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER);
        if let Err(error) = copied.await {
            tracing::debug!(target: "keyfob", %error, "an upgraded connection through the proxy broke");
        }
    };
    tokio::spawn(async move {
        match connection {
            Some(connection) => tokio::select! {
                () = tunnel => {}
                () = connection.cut() => {}
            },
            None => tunnel.await,
        }
    });
}

/// Names the protocol in the head of a message.
pub(super) fn name(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

const BUFFER: usize = 16 * 1024;
