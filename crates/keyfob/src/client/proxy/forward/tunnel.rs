//! What goes to servers without a credential: connections that are passed on unopened, and requests with plain http.

use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use crate::client::proxy::connector::Connection as ToServer;
use crate::client::proxy::forward::refusal::Refusal;
use crate::client::proxy::hop_by_hop;
use crate::client::proxy::server::connection::Connection;
use crate::error::error::BoxError;
use crate::origin::origin::Origin;

/// The body of a response to the program.
pub(super) type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

/// Passes bytes on in both directions until both sides have ended, or the connection is cut off.
pub(super) async fn pass_on(program: OnUpgrade, server: ToServer, connection: Arc<Connection>) {
    let tunnel = async {
        if let Ok(program) = program.await {
            // Either side may break off, which the other side sees.
            _ = copy_bidirectional(&mut TokioIo::new(program), &mut TokioIo::new(server)).await;
        }
    };
    tokio::select! {
        () = tunnel => {}
        () = connection.cut() => {}
    }
}

/// Sends one request to a server with plain http, without the fields for the proxy.
pub(super) async fn send(
    request: Request<Incoming>,
    target: &Origin,
    server: ToServer,
) -> Result<Response<ResponseBody>, Refusal> {
    let failed = || Refusal::unreachable(format!("{target} does not respond"));
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = path.parse::<Uri>().map_err(|_| failed())?;
    hop_by_hop::remove(&mut head.headers, &[]);
    let host = match target.port() {
        80 => target.host().to_string(),
        port => format!("{}:{port}", target.host()),
    };
    let host = HeaderValue::try_from(host).map_err(|_| failed())?;
    head.headers.insert(HOST, host);
    let connected = http1::handshake(server).await;
    let (mut sender, connection) = connected.map_err(|_| failed())?;
    tokio::spawn(connection);
    let response = sender.send_request(Request::from_parts(head, body)).await;
    let mut response = response.map_err(|_| failed())?;
    hop_by_hop::remove(response.headers_mut(), &[]);
    Ok(response.map(|body| body.map_err(BoxError::from).boxed_unsync()))
}
