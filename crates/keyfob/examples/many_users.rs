//! A web service that calls an API for each of its users, with a token that it gets by token exchange (RFC 8693).
//!
//! `cargo xtask provider` starts the OAuth server of the tests. In another terminal,
//! `cargo run -p keyfob --example many_users --features oauth,pool,metrics` starts the service, sends it three requests of each of
//! 1,000 users, and prints its metrics. `docs/how-to/many-users.md` describes it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use futures_util::{StreamExt, TryStreamExt, stream};
use keyfob::error::BoxError;
use keyfob::oauth::{Client, ClientAuthentication, TokenExchange, TokenType};
use keyfob::pool::PoolKey;
use keyfob::{Error, ErrorKind, FixedToken, Session, Token, TokenPool, reqwest};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::net::TcpListener;

const USERS: usize = 1000;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let issuer = std::env::var("ISSUER").unwrap_or_else(|_| "http://127.0.0.1:4000".to_owned());
    let recorder = DebuggingRecorder::new();
    let metrics = recorder.snapshotter();
    recorder.install()?;
    let signed_in = sign_in(&issuer, USERS).await?;
    let api = serve(Router::new().route("/orders", get(api))).await?;
    let service = Service::new(&issuer, &api, signed_in)?;
    let url = serve(service.router(metrics)).await?;
    send(&url, USERS, 3).await?;
    println!(
        "{}",
        reqwest::get(format!("{url}/metrics")).await?.text().await?
    );
    Ok(())
}

/// The service: one client for all users, and a token for each.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) pool: TokenPool,
    session: Session,
}

impl Service {
    /// `signed_in` has the token with which each user signed in, by user. A service has these in its own sessions.
    pub(crate) fn new(
        issuer: &str,
        api: &str,
        signed_in: HashMap<String, Token>,
    ) -> Result<Self, Error> {
        let client = Client::builder("gateway")
            .issuer(issuer)
            .authentication(ClientAuthentication::secret_basic("gateway-secret"))
            .build()?;
        let signed_in = Arc::new(signed_in);
        let pool = TokenPool::builder(move |key: &PoolKey| {
            let token = signed_in.get(key.subject());
            let token = token.ok_or_else(|| Error::refused("the user is not signed in"))?;
            let subject = FixedToken::new(token.clone());
            let exchange = TokenExchange::new(client.clone(), subject, TokenType::AccessToken);
            Ok(exchange.scopes(key.scopes()))
        })
        .fetches_at_once(20)
        .build()?;
        let session = Session::new(api, pool.without_key())?;
        Ok(Self { pool, session })
    }

    pub(crate) fn router(self, metrics: Snapshotter) -> Router {
        let metrics = Arc::new(metrics);
        Router::new()
            // A real service takes the user from a verified sign-in, and never from the request's path.
            .route("/orders/{user}", get(orders))
            .with_state(self)
            .route("/metrics", get(async move || text_of(&metrics)))
    }

    async fn orders_of(&self, user: &str) -> Result<String, Error> {
        let key = PoolKey::builder(user).scopes(["read"]).build()?;
        let tokens = self.pool.tokens(&key)?;
        let response = self.session.get("orders").tokens(tokens).send().await?;
        response
            .text()
            .await
            .map_err(|_| Error::unavailable("the response of the API broke off"))
    }
}

async fn orders(
    State(service): State<Service>,
    Path(user): Path<String>,
) -> Result<String, (StatusCode, String)> {
    let orders = service.orders_of(&user).await;
    orders.map_err(|error| {
        let status = match error.kind() {
            ErrorKind::Input => StatusCode::BAD_REQUEST,
            ErrorKind::Refused => StatusCode::FORBIDDEN,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, error.to_string())
    })
}

/// The API. It returns whether there was a token; a real one checks it.
async fn api(headers: HeaderMap) -> StatusCode {
    match headers.contains_key("authorization") {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::UNAUTHORIZED,
    }
}

/// Signs the users in. Here each is a client of its own, because a thousand people would have to sit at browsers.
pub(crate) async fn sign_in(
    issuer: &str,
    users: usize,
) -> Result<HashMap<String, Token>, BoxError> {
    let http = reqwest::Client::new();
    let sign_in = |number: usize| {
        let request = http
            .post(format!("{issuer}/token"))
            .basic_auth(format!("user-{number}"), Some("user-secret"))
            .form(&[("grant_type", "client_credentials")]);
        async move {
            let response = request.send().await?.error_for_status()?;
            let response: serde_json::Value = response.json().await?;
            let token = response["access_token"].as_str().unwrap_or_default();
            Ok::<_, BoxError>((format!("user-{number}"), Token::new(token)?))
        }
    };
    stream::iter((0..users).map(sign_in))
        .buffer_unordered(20)
        .try_collect()
        .await
}

/// Sends the service this many requests of each user.
pub(crate) async fn send(url: &str, users: usize, requests: usize) -> Result<(), BoxError> {
    let http = reqwest::Client::new();
    let all = (0..requests).flat_map(|_| 0..users);
    let responses = all.map(|user| http.get(format!("{url}/orders/user-{user}")).send());
    stream::iter(responses)
        .buffer_unordered(100)
        .map_err(BoxError::from)
        .try_for_each(async |response| {
            response.error_for_status()?;
            Ok(())
        })
        .await
}

/// Serves on a free port of this machine, and returns the URL.
pub(crate) async fn serve(router: Router) -> Result<String, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, router).await });
    Ok(url)
}

/// The metrics as text. A service takes an exporter, such as `metrics-exporter-prometheus`.
pub(crate) fn text_of(metrics: &Snapshotter) -> String {
    let metrics = metrics.snapshot().into_vec().into_iter();
    let lines: BTreeMap<String, String> = metrics
        .map(|(key, _, _, value)| {
            let labels = key
                .key()
                .labels()
                .map(|label| format!(" {}={}", label.key(), label.value()));
            let value = match value {
                DebugValue::Counter(count) => count.to_string(),
                DebugValue::Gauge(level) => level.to_string(),
                DebugValue::Histogram(values) => {
                    let longest = values.iter().map(|value| value.0).fold(0.0, f64::max);
                    format!("{} values, at most {longest:.3}", values.len())
                }
            };
            (
                format!("{}{}", key.key().name(), labels.collect::<String>()),
                value,
            )
        })
        .collect();
    let lines = lines
        .iter()
        .map(|(name, value)| format!("{name} {value}\n"));
    lines.collect()
}
