//! What a profile has made from its secrets: the client at its server. The profiles that it makes for the keys of a pool share it.
//!
//! A client has a copy of all authorities that it trusts, of a hundred kilobytes or more: too much for each of many users.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio::sync::OnceCell;

use crate::clock::clock::Clock;
use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::signing_key::SigningKey;
use crate::profile::client::Secrets;
use crate::profile::http_source::LinkSources;
use crate::profile::schema::grant::Grant;
use crate::profile::schema::store::StoreSettings;
use crate::runtime::lock::{Mutex, lock};

/// The clients of a profile and of its links.
#[derive(Clone, Default)]
pub(super) struct SharedClients(Arc<Mutex<BTreeMap<String, SharedClient>>>);

impl SharedClients {
    /// The client with which the token at the end of this path is requested.
    pub(super) fn at(&self, path: &str) -> SharedClient {
        lock(&self.0).entry(path.to_owned()).or_default().clone()
    }
}

/// One client. It is made anew when a secret has changed.
#[derive(Clone, Default)]
pub(super) struct SharedClient(Arc<Mutex<Option<Arc<MadeFromSecrets>>>>);

impl SharedClient {
    /// What was made from these secrets, or will be.
    pub(super) fn of(&self, secrets: Secrets, clock: &Arc<dyn Clock>) -> Arc<MadeFromSecrets> {
        let mut last = lock(&self.0);
        if let Some(made) = &*last
            && made.secrets == secrets
            && Arc::ptr_eq(&made.clock, clock)
        {
            return Arc::clone(made);
        }
        let made = Arc::new(MadeFromSecrets {
            secrets,
            clock: Arc::clone(clock),
            client: OnceCell::new(),
            signing_key: OnceLock::new(),
        });
        *last = Some(Arc::clone(&made));
        made
    }
}

/// Secrets, and what was made from them.
pub(super) struct MadeFromSecrets {
    pub(super) secrets: Secrets,
    clock: Arc<dyn Clock>,
    client: OnceCell<Client>,
    signing_key: OnceLock<SigningKey>,
}

impl MadeFromSecrets {
    /// The client of this grant. Nothing is sent yet.
    pub(super) async fn client(
        &self,
        grant: &Grant,
        store: &StoreSettings,
        links: &LinkSources,
    ) -> Result<Client, Error> {
        let new = || {
            let clock = Arc::clone(&self.clock);
            self.secrets.client(grant, store, links, clock)
        };
        self.client.get_or_try_init(new).await.cloned()
    }

    /// The private key.
    pub(super) fn signing_key(&self, grant: &Grant) -> Result<SigningKey, Error> {
        if let Some(key) = self.signing_key.get() {
            return Ok(key.clone());
        }
        let key = self.secrets.signing_key(grant)?;
        Ok(self.signing_key.get_or_init(|| key).clone())
    }
}

impl fmt::Debug for SharedClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedClients")
    }
}
