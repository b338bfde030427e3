//! What failed at the proxy that a client of `reqwest` used.

use std::thread;
use std::time::Duration;

use futures_channel::oneshot;
use http::{Method, StatusCode};
use hyper_util::client::proxy::matcher::Intercept;
use tokio::runtime;
use url::Url;

use crate::exchange::tunnel::{NoTunnel, TunnelError, of_application, of_environment};
use crate::origin::loopback::EnvironmentProxies;

/// Where a client takes its proxies from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxiesFrom {
    Environment,
    /// The application made the client, so its proxies are not known.
    Application,
}

/// The failure of a proxy that explains an error; or the error, if it is that of a server or of the way to it.
pub(crate) async fn explain(
    error: reqwest::Error,
    proxies: ProxiesFrom,
) -> Result<NoTunnel, reqwest::Error> {
    let Some(url) = error.url().filter(|_| error.is_connect()) else {
        return Err(error);
    };
    let tunnel = TunnelError::find(&error);
    // To a server with https, a client uses a tunnel. With plain http, the proxy is where the client connects.
    if tunnel.is_none() && url.scheme() == "https" {
        return Err(error);
    }
    let intercept = match proxies {
        ProxiesFrom::Environment => EnvironmentProxies::read().of(url),
        ProxiesFrom::Application => None,
    };
    let proxy = match &intercept {
        Some(proxy) => of_environment(proxy.uri()),
        None if tunnel.is_none() => return Err(error),
        None => of_application(),
    };
    let (host, port) = (url.host_str(), url.port_or_known_default());
    let server = format!("{}:{}", host.unwrap_or_default(), port.unwrap_or_default());
    let status = match (tunnel, intercept) {
        (Some(TunnelError::CredentialsRequired), _) => {
            Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED)
        }
        (Some(TunnelError::Refused), Some(proxy)) => status_of(proxy, &server).await,
        _ => None,
    };
    Ok(match status {
        Some(status) => NoTunnel::refused(proxy, server, status),
        None => NoTunnel::failed(proxy, server, error.without_url()),
    })
}

/// Asks a proxy for a tunnel once more, because `reqwest` does not say with which status it refused.
///
/// `None` if it opens one now, or does not respond. A blocking session has no runtime, so this brings its own.
async fn status_of(proxy: Intercept, server: &str) -> Option<StatusCode> {
    let server = Url::parse(&format!("http://{server}/")).ok()?;
    let (sender, status) = oneshot::channel();
    thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let status = runtime.map(|runtime| runtime.block_on(connect(&proxy, server)));
        // The request may have been given up.
        _ = sender.send(status.ok().flatten());
    });
    status.await.ok().flatten()
}

async fn connect(proxy: &Intercept, server: Url) -> Option<StatusCode> {
    let through = reqwest::Proxy::http(proxy.uri().to_string()).ok()?;
    let through = match proxy.basic_auth() {
        Some(credential) => through.custom_http_auth(credential.clone()),
        None => through,
    };
    let client = reqwest::Client::builder()
        .proxy(through)
        .timeout(TIMEOUT)
        .build()
        .ok()?;
    let response = client.request(Method::CONNECT, server).send().await.ok()?;
    Some(response.status()).filter(|status| !status.is_success())
}

/// It has just responded, so this is enough.
const TIMEOUT: Duration = Duration::from_secs(5);
