//! A store before a source: one token for all who share the store, and no refresh token lost between them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::BoxFuture;

mod decision;
mod process_name;
mod refresh;
mod refusal;
mod renewal;
mod store_outage;

use crate::error::error::Error;
use crate::source::persisted::renewal::{Caller, Desk, ISSUER_GRACE, Stop};
pub use crate::source::persisted::store_outage::OnStoreOutage;
use crate::source::source::{TokenRequest, TokenSource, interrupted};
use crate::store::key::StoreKey;
use crate::store::store::TokenStore;
use crate::token::token::Token;

/// A source whose tokens are kept in a store, and shared with all who use the same store and key.
///
/// A token that somebody else got is taken from the store instead of asking the source (T1). Where one is needed, the
/// holder of the store's lease asks, and nobody else; without the lease nothing is asked. Where a fetch
/// [uses up](TokenSource::consumes_refresh_token) a refresh token (T9):
///
/// * Before the exchange a note of it is stored, and after it the new token, before anyone uses it. A fetch that is dropped
///   meanwhile goes on beside until that is done.
/// * A note without an answer was left by a process that died. The refresh token may have been replaced by one that
///   nobody knows: it is tried [once](Self::issuer_grace) more, and then an error says that a new sign-in is needed.
/// * While the store is away, nothing is exchanged; a token that is still valid is used on.
///
/// Give it to a [`TokenCache`](crate::TokenCache), as any source.
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
pub struct Persisted {
    desk: Arc<Desk>,
}

impl Persisted {
    /// Unless set, an exchange that ended nobody knows how is tried once more for so long.
    pub const ISSUER_GRACE: Duration = ISSUER_GRACE;

    /// Keeps the tokens of this source in this store under this key.
    #[must_use]
    pub fn new(source: impl TokenSource, store: impl TokenStore, key: StoreKey) -> Self {
        Self {
            desk: Arc::new(Desk::new(Arc::new(source), Arc::new(store), key)),
        }
    }

    /// How long the issuer accepts a refresh token again that it has replaced; [`ISSUER_GRACE`](Self::ISSUER_GRACE) unless set.
    ///
    /// So long after its start, an exchange without a known answer is tried once more. With zero it never is.
    #[must_use]
    pub fn issuer_grace(mut self, grace: Duration) -> Self {
        self.desk_mut().grace = grace;
        self
    }

    /// What happens while the store cannot be used.
    #[must_use]
    pub fn on_store_outage(mut self, policy: OnStoreOutage) -> Self {
        self.desk_mut().policy = policy;
        self
    }

    fn desk_mut(&mut self) -> &mut Desk {
        Arc::make_mut(&mut self.desk)
    }
}

impl TokenSource for Persisted {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        let desk = Arc::clone(&self.desk);
        Box::pin(async move {
            match desk.look(request).await {
                Ok(Some(token)) => return Ok(token),
                Ok(None) => {}
                Err(fault) => return desk.without_store(request, fault).await,
            }
            let taken = match desk.source.consumes_refresh_token() {
                true => Self::take_turn_beside(&desk, request).await?,
                false => desk.take_turn(request, &mut Caller::patient()).await,
            };
            match taken {
                Ok(token) => Ok(token),
                Err(Stop::Source(error)) => desk.last_resort(request, error).await,
                Err(Stop::Store(fault)) => desk.without_store(request, fault).await,
            }
        })
    }
}

impl Persisted {
    /// An exchange that has been sent is brought to its end, whether or not anybody still waits for it.
    async fn take_turn_beside(
        desk: &Arc<Desk>,
        request: &TokenRequest,
    ) -> Result<Result<Token, Stop>, Error> {
        let (sender, answer) = oneshot::channel();
        let (desk, asked) = (Arc::clone(desk), request.clone().detached());
        request.spawn(Box::pin(async move {
            let mut caller = Caller::waiting(sender);
            let taken = desk.take_turn(&asked, &mut caller).await;
            caller.tell(taken);
        }));
        answer.await.map_err(|_| interrupted())
    }
}

impl fmt::Debug for Persisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Persisted")
            .field("key", &self.desk.key)
            .finish_non_exhaustive()
    }
}
