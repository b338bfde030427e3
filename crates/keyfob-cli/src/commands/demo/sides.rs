//! The two sides of the demo: each has a client, and an issuer and an API of its own, so that neither disturbs the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyfob::Session;
use keyfob::error::BoxError;
use tokio::time::sleep;

use crate::commands::demo::plain::PlainClient;
use crate::commands::demo::servers::{ISSUING_TIME, Servers, http_client};
use crate::output::error::CliError;

/// A client, its servers, and what its workers have counted.
pub(super) struct Side {
    client: Client,
    pub(super) servers: Arc<Servers>,
    requests: AtomicU64,
    failed: AtomicU64,
    first_failure: Mutex<Option<String>>,
}

enum Client {
    Plain(PlainClient),
    Keyfob(Box<Session>),
}

/// What a side has counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// The requests of the workers, not counting what the session sent again.
    pub(super) requests: u64,
    /// How many of them failed or had a status other than success.
    pub(super) failed: u64,
    /// How many waited for a token, because the last one had expired or was rejected.
    pub(super) delayed: u64,
    pub(super) issuer_calls: u64,
}

impl Side {
    pub(super) fn plain() -> Self {
        Self::new(
            Client::Plain(PlainClient::new()),
            Arc::new(Servers::start()),
        )
    }

    pub(super) fn keyfob() -> Result<Self, CliError> {
        let servers = Arc::new(Servers::start());
        let session = Session::builder(Servers::handler(&servers)?)
            .any_https_origin()
            .client(http_client())
            .client_uses_no_proxy()
            .build()?;
        Ok(Self::new(Client::Keyfob(Box::new(session)), servers))
    }

    fn new(client: Client, servers: Arc<Servers>) -> Self {
        Self {
            client,
            servers,
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            first_failure: Mutex::new(None),
        }
    }

    pub(super) async fn fetch_first_token(&self) -> Result<(), CliError> {
        match &self.client {
            Client::Plain(client) => {
                let fetched = client.fetch(&self.servers).await;
                fetched
                    .map(drop)
                    .map_err(|error| CliError::failed("the demo has no token", &*error))
            }
            Client::Keyfob(session) => Ok(session.authenticate().await?),
        }
    }

    /// Sends a request to the API, and counts it.
    pub(super) async fn send(&self) {
        let url = format!("{}/work", self.servers.api_url());
        let outcome = match &self.client {
            Client::Plain(client) => client.send(&url, &self.servers).await,
            Client::Keyfob(session) => send(session, &url).await,
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
        if let Err(failure) = outcome {
            self.failed.fetch_add(1, Ordering::Relaxed);
            let failure = CliError::failed("a request failed", &*failure);
            let first = self.first_failure.lock();
            first
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert_with(|| failure.message().unwrap_or_default().to_owned());
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            requests: self.requests.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            delayed: match &self.client {
                Client::Plain(client) => client.delayed(),
                // Those whose token was rejected wait for another one.
                Client::Keyfob(_) => self.delayed_by_expiry() + self.servers.responses_with(401),
            },
            issuer_calls: self.servers.issuer_calls(),
        }
    }

    /// How many requests waited although no token had been rejected.
    pub(super) fn delayed_by_expiry(&self) -> u64 {
        match &self.client {
            Client::Plain(client) => client.delayed(),
            Client::Keyfob(session) => session.status().delayed,
        }
    }

    /// How many tokens the client needed: one for each time that it had none, or that its token was due.
    pub(super) fn tokens_needed(&self) -> u64 {
        match &self.client {
            Client::Plain(client) => client.tokens_needed(),
            Client::Keyfob(session) => session.status().renewals,
        }
    }

    pub(super) fn first_failure(&self) -> Option<String> {
        let first = self.first_failure.lock();
        first.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until no renewal is in progress, so that the counts are final.
    pub(super) async fn wait_for_renewal(&self) {
        let Client::Keyfob(session) = &self.client else {
            return;
        };
        for _ in 0..500 {
            if !session.status().renewing {
                return;
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// True if the current token is not being renewed, and will not be soon.
    fn is_settled(&self) -> bool {
        let Client::Keyfob(session) = &self.client else {
            return true;
        };
        let status = session.status();
        let is_far = |left: Duration| left > ISSUING_TIME * 2;
        status.authenticated && !status.renewing && status.next_renewal_in.is_some_and(is_far)
    }
}

/// Makes both APIs reject the current token every few seconds; never returns.
///
/// It waits until no renewal is near: a token that is revoked before it reaches the session would fail the replay after a 401, as
/// it should.
pub(super) async fn revoke_repeatedly(plain: &Side, keyfob: &Side) {
    sleep(REVOKED_FIRST_AFTER).await;
    loop {
        while !keyfob.is_settled() {
            sleep(POLL_INTERVAL).await;
        }
        plain.servers.revoke_token();
        keyfob.servers.revoke_token();
        sleep(REVOKED_EVERY).await;
    }
}

async fn send(session: &Session, url: &str) -> Result<(), BoxError> {
    let response = session.get(url).send().await?.error_for_status()?;
    response.bytes().await?;
    Ok(())
}

const REVOKED_FIRST_AFTER: Duration = Duration::from_millis(450);
const REVOKED_EVERY: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
