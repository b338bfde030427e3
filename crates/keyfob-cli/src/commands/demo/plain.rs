//! The client that the demo compares keyfob with. It is what programs have before they use a library for this.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use keyfob::error::BoxError;

use crate::commands::demo::servers::{Servers, plain_http_client};

/// Fetches a token when it has none that is valid, and forgets it after a 401.
pub(super) struct PlainClient {
    http: reqwest::Client,
    token: Mutex<Option<(String, Instant)>>,
    delayed: AtomicU64,
    fetches: AtomicU64,
    tokens_needed: AtomicU64,
}

impl PlainClient {
    pub(super) fn new() -> Self {
        Self {
            http: plain_http_client(),
            token: Mutex::new(None),
            delayed: AtomicU64::new(0),
            fetches: AtomicU64::new(0),
            tokens_needed: AtomicU64::new(0),
        }
    }

    pub(super) async fn send(&self, url: &str, servers: &Servers) -> Result<(), BoxError> {
        let token = match self.token() {
            Some((token, expiry)) if Instant::now() < expiry => token,
            _ => {
                self.delayed.fetch_add(1, Ordering::Relaxed);
                self.fetch(servers).await?
            }
        };
        let response = self.http.get(url).bearer_auth(token).send().await?;
        if response.status() == 401 {
            *self.lock() = None;
        }
        response.error_for_status()?.bytes().await?;
        Ok(())
    }

    pub(super) async fn fetch(&self, servers: &Servers) -> Result<String, BoxError> {
        if self.fetches.fetch_add(1, Ordering::Relaxed) == 0 {
            self.tokens_needed.fetch_add(1, Ordering::Relaxed);
        }
        let asked = Instant::now();
        let fetched = servers.fetch_token().await;
        self.fetches.fetch_sub(1, Ordering::Relaxed);
        let (token, lifetime) = fetched?;
        *self.lock() = Some((token.clone(), asked + lifetime));
        Ok(token)
    }

    /// How many requests waited for a token.
    pub(super) fn delayed(&self) -> u64 {
        self.delayed.load(Ordering::Relaxed)
    }

    /// How many fetches began while no other was in progress.
    pub(super) fn tokens_needed(&self) -> u64 {
        self.tokens_needed.load(Ordering::Relaxed)
    }

    fn token(&self) -> Option<(String, Instant)> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(String, Instant)>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
