//! A source whose tokens are kept in a store and shared with other processes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;

mod caller;
mod decision;
mod exchange;
mod last_failure;
mod outage;
mod renewal;
mod running;
mod stored_source;

use crate::source::persisted::caller::{Caller, Stop};
pub use crate::source::persisted::outage::OnStoreOutage;
use crate::source::persisted::outage::Outage;
use crate::source::persisted::renewal::{SAVE_TIMEOUT, renew};
use crate::source::persisted::running::Running;
pub use crate::source::persisted::running::wait_for_exchanges;
use crate::source::persisted::stored_source::StoredSource;
use crate::source::source::{TokenFuture, TokenRequest, TokenSource, interrupted};
use crate::store::availability::Step;
use crate::store::key::StoreKey;
use crate::store::store::TokenStore;
use crate::token::token::Token;

/// A source whose tokens are kept in a store, and shared by all who use the same store and key.
///
/// A token that another process has stored is used instead of asking the source (T1). If a new one is needed, only the process
/// that holds the store's lease asks the source. Without the lease the source is not asked.
///
/// If a fetch [uses up](TokenSource::consumes_refresh_token) a refresh token, more is promised (T9):
///
/// * A note of the exchange is stored before it begins, and the new token is stored before anyone uses it. If the caller gives
///   up meanwhile, the exchange continues in the background until its token is stored. A short program should
///   [wait for that](wait_for_exchanges) before it ends.
/// * A note without a result was left by a process that died. The issuer may have replaced the refresh token, and the new one
///   is lost. The old one is tried [once more](Self::issuer_grace); then an error says that a new sign-in is needed.
/// * While the store is not available, nothing is exchanged. A token that is still valid stays in use.
///
/// Give it to a [`TokenCache`](crate::TokenCache), like any source.
///
/// ```
/// use std::time::Duration;
/// use keyfob::TokenCache;
/// use keyfob::source::Persisted;
/// use keyfob::store::{MemoryStore, StoreKey};
///
/// let hook = keyfob::hook_blocking(|_| Ok::<_, std::io::Error>(("t0ken", Duration::from_secs(300))));
/// let key = StoreKey::builder("https://issuer.example.com").client("reports").build();
/// let tokens = TokenCache::new(Persisted::new(hook, MemoryStore::default(), key));
/// assert_eq!(tokens.get_valid_token_blocking()?.expose(), "t0ken");
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct Persisted(Arc<StoredSource>);

impl Persisted {
    /// The default of [`issuer_grace`](Self::issuer_grace).
    pub const ISSUER_GRACE: Duration = Duration::from_secs(30);

    /// How long saving a new refresh token is tried before the token counts as lost.
    pub const SAVE_TIMEOUT: Duration = SAVE_TIMEOUT;

    /// Keeps the tokens of this source in this store under this key.
    #[must_use]
    pub fn new(source: impl TokenSource, store: impl TokenStore, key: StoreKey) -> Self {
        let outage = Outage::of(store.availability());
        Self(Arc::new(StoredSource {
            source: Arc::new(source),
            store: Arc::new(store),
            key,
            issuer_grace: Self::ISSUER_GRACE,
            advice: "sign in again".into(),
            ends_with_entry: false,
            on_outage: OnStoreOutage::default(),
            outage: Arc::new(outage),
            last_failure: Arc::default(),
            had_entry: Arc::default(),
        }))
    }

    /// Sets how long the issuer accepts a refresh token that it has already replaced.
    ///
    /// An exchange whose result is unknown is tried once more within this time after its start; with zero, never. The
    /// default is [`ISSUER_GRACE`](Self::ISSUER_GRACE).
    #[must_use]
    pub fn issuer_grace(mut self, grace: Duration) -> Self {
        Arc::make_mut(&mut self.0).issuer_grace = grace;
        self
    }

    /// Sets what an error tells a person to do if a new sign-in is needed.
    pub(crate) fn sign_in_advice(mut self, advice: String) -> Self {
        Arc::make_mut(&mut self.0).advice = advice.into();
        self
    }

    /// Ends the sign-in when its entry is removed: the refresh token in memory is not exchanged, and not written back.
    pub(crate) fn ends_with_entry(mut self) -> Self {
        Arc::make_mut(&mut self.0).ends_with_entry = true;
        self
    }

    /// Sets what happens while the store is not available.
    #[must_use]
    pub fn on_store_outage(mut self, policy: OnStoreOutage) -> Self {
        Arc::make_mut(&mut self.0).on_outage = policy;
        self
    }
}

impl TokenSource for Persisted {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        let stored = Arc::clone(&self.0);
        Box::pin(async move {
            match read_or_renew(&stored, request).await {
                Ok(token) => Ok(token),
                Err(Stop::Source(error)) => stored.last_resort(request, error).await,
                Err(Stop::Store(fault)) => stored.without_store(request, fault).await,
            }
        })
    }
}

/// The token that is stored, or a new one.
async fn read_or_renew(stored: &Arc<StoredSource>, request: &TokenRequest) -> Result<Token, Stop> {
    let _reading = stored.admit(Step::Load, request)?;
    // Without the lease, because most calls find a token that another process has stored.
    if let Some(token) = stored.lookup(request).await? {
        return Ok(token);
    }
    let _renewing = stored.admit(Step::Lease, request)?;
    // A fetch that uses nothing up may be dropped with its caller, and needs no task.
    match stored.source.consumes_refresh_token() {
        true => renew_in_background(stored, request).await,
        false => renew(stored, request, &mut Caller::polling()).await,
    }
}

/// Renews on a task of its own, so that an exchange that was sent is always brought to its end.
async fn renew_in_background(
    stored: &Arc<StoredSource>,
    request: &TokenRequest,
) -> Result<Token, Stop> {
    let (sender, receiver) = oneshot::channel();
    let stored = Arc::clone(stored);
    let detached = TokenRequest {
        is_detached: true,
        ..request.clone()
    };
    let running = Running::begin();
    request.runtime.spawn(Box::pin(async move {
        let _running = running;
        let mut caller = Caller::waiting(sender);
        let outcome = renew(&stored, &detached, &mut caller).await;
        caller.answer(outcome);
    }));
    let outcome = receiver.await;
    outcome.unwrap_or_else(|_| Err(interrupted().into()))
}

impl fmt::Debug for Persisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Persisted")
            .field("key", &self.0.key)
            .finish_non_exhaustive()
    }
}
