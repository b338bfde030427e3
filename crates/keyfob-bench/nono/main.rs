//! The reverse proxy of nono with one route, `/bench/`, whose token comes from a token endpoint.

use std::env::args;
use std::fs::write;
use std::future::pending;

use nono_proxy::{ProxyConfig, start};
use serde_json::{from_value, json};

/// Takes the port, the URL of the upstream, that of the token endpoint, and the file for the secret that clients have to send.
/// The secret of the client at the token endpoint is in `KEYFOB_BENCH_TOKEN`.
#[tokio::main]
async fn main() {
    let arguments: Vec<String> = args().skip(1).collect();
    let [port, upstream, token_endpoint, secret] = arguments.try_into().expect("four arguments");
    let route = json!({
        "prefix": "bench",
        "upstream": upstream,
        "credential_key": null,
        "oauth2": {
            "token_url": token_endpoint,
            "client_id": "env://KEYFOB_BENCH_TOKEN",
            "client_secret": "env://KEYFOB_BENCH_TOKEN",
        },
    });
    let config = ProxyConfig {
        bind_port: port.parse().expect("a port"),
        // Unlimited.
        max_connections: 0,
        routes: vec![from_value(route).expect("a route")],
        ..ProxyConfig::default()
    };
    let proxy = start(config).await.expect("a proxy");
    write(secret, &*proxy.token).expect("a file");
    pending::<()>().await;
}
