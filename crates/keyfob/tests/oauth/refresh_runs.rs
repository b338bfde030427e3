//! Runs of a program that exchanges a refresh token, and what they leave in their store.

use std::time::Duration;

use keyfob::oauth::{Client, ClientBuilder, RefreshToken};
use keyfob::source::Persisted;
use keyfob::store::{Entry, MemoryStore, StoreKey, TokenStore};
use keyfob::{Error, Token, TokenCache};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server};

use crate::fixtures::SECOND;

/// Runs of a program that share a store: each has its own source and cache.
pub(crate) struct Runs {
    pub(crate) server: Server,
    pub(crate) store: MemoryStore,
    pub(crate) clock: ManualClock,
    pub(crate) grace: Duration,
}

impl Runs {
    pub(crate) fn new() -> Self {
        Self {
            server: Server::start(),
            store: MemoryStore::default(),
            clock: ManualClock::default(),
            grace: Persisted::ISSUER_GRACE,
        }
    }

    /// What the server sends, and to which refresh token.
    pub(crate) fn responds(&self, refresh_token: &str, response: ScriptedResponse) {
        let expect = Expect::post("/token").form("refresh_token", refresh_token);
        self.server.expect(expect.respond(response));
    }

    pub(crate) async fn run(&self) -> Result<Token, Error> {
        let client = Client::builder("desktop").token_endpoint(self.server.url_for("/token"));
        self.run_with(client).await
    }

    pub(crate) async fn run_with(&self, client: ClientBuilder) -> Result<Token, Error> {
        let client = client.timeout(Duration::from_millis(700)).build().unwrap();
        let source = RefreshToken::new(client, "first").unwrap();
        let source = Persisted::new(source, self.store.clone(), key()).issuer_grace(self.grace);
        let tokens = TokenCache::builder(source).clock(self.clock.clone());
        tokens.build().unwrap().get_valid_token().await
    }

    pub(crate) async fn entry(&self) -> Entry {
        self.store.load(&key()).await.unwrap().unwrap().entry
    }

    /// Signs in again, as the error advises.
    pub(crate) async fn sign_in(&self) {
        let now = self.clock.wall();
        let token = Token::new("signed-in")
            .unwrap()
            .with_refresh_token("new")
            .unwrap();
        let entry = Entry::new(token.obtained_at(now).expires_at(now), now);
        self.store.replace(&key(), &entry, SECOND).await.unwrap();
    }
}

pub(crate) fn key() -> StoreKey {
    StoreKey::builder("https://issuer.example.com").build()
}
