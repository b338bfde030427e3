//! Stores the token of a sign-in. Only a person can repeat a sign-in, so this is tried for as long as after a renewal (T9).

use std::time::{Duration, Instant, SystemTime};

use keyfob::error::printable;
use keyfob::source::Persisted;
use keyfob::store::{Entry, StoreError, StoreErrorKind, StoreKey, TokenStore};
use keyfob::{Profile, Token};
use tokio::time::sleep;

use crate::commands::logout::revoke;
use crate::output::error::CliError;
use crate::output::print::print_stderr;
use crate::stored_tokens::store_of;

/// Stores the token. If that fails to the end, the token is revoked, because nobody can use it.
pub(super) async fn keep(profile: &Profile, token: Token) -> Result<(), CliError> {
    let (store, key) = store_of(profile)?;
    let Err(fault) = save(&*store, &key, &token, Persisted::SAVE_TIMEOUT).await else {
        return Ok(());
    };
    let end = match revoke(profile, &token).await {
        Ok(()) => "the new tokens are revoked",
        Err(_) => "the new tokens may stay valid at the server until they expire",
    };
    let error = CliError::from(keyfob::Error::from(fault));
    let cause = error.message().unwrap_or_default();
    Err(CliError::new(
        error.exit(),
        format!("the sign-in could not be stored, and {end}; sign in again: {cause}"),
    ))
}

/// Saves the token, and tries again after a failure that may pass.
async fn save(
    store: &dyn TokenStore,
    key: &StoreKey,
    token: &Token,
    timeout: Duration,
) -> Result<(), StoreError> {
    let deadline = Instant::now() + timeout;
    let mut is_reported = false;
    loop {
        let entry = Entry::new(token.clone(), SystemTime::now());
        let Err(fault) = store.replace(key, &entry, LEASE_WAIT).await else {
            return Ok(());
        };
        if fault.is_unreadable() || Instant::now() >= deadline {
            return Err(fault);
        }
        if !is_reported {
            report(&fault);
            is_reported = true;
        }
        if fault.kind() != StoreErrorKind::Busy {
            sleep(PAUSE).await;
        }
    }
}

fn report(fault: &StoreError) {
    let reason = match fault.kind() {
        StoreErrorKind::Busy => "waiting until another process ends its renewal".to_owned(),
        _ => {
            let error = CliError::from(keyfob::Error::from(fault.clone()));
            format!("trying again: {}", error.message().unwrap_or_default())
        }
    };
    print_stderr(format!(
        "keyfob: the sign-in is not stored yet; {}\n",
        printable(&reason)
    ));
}

/// How long to wait for the lease, which another process holds while it renews, before the person is told.
const LEASE_WAIT: Duration = Duration::from_secs(3);

/// The pause after another failure.
const PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use keyfob::Error;
    use keyfob::store::{EntrySummary, MemoryStore, StoreFuture, StoreLease, StoredEntry};

    use super::*;

    /// A store whose first leases are held by other processes for longer than a caller waits.
    struct HeldStore {
        store: MemoryStore,
        leases_left: AtomicU32,
    }

    impl TokenStore for HeldStore {
        fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredEntry>> {
            self.store.load(key)
        }

        fn lease<'a>(
            &'a self,
            key: &'a StoreKey,
            max_wait: Duration,
        ) -> StoreFuture<'a, Box<dyn StoreLease>> {
            let left = self.leases_left.load(Ordering::Relaxed);
            if left == 0 {
                return self.store.lease(key, max_wait);
            }
            self.leases_left.store(left - 1, Ordering::Relaxed);
            let busy = StoreError::busy(Error::unavailable("another process renews the token"));
            Box::pin(async { Err(busy) })
        }

        fn list(&self) -> StoreFuture<'_, Vec<EntrySummary>> {
            self.store.list()
        }
    }

    #[tokio::test]
    async fn t9_a_sign_in_is_stored_after_the_renewals_of_other_processes() {
        let store = HeldStore {
            store: MemoryStore::default(),
            leases_left: AtomicU32::new(100),
        };
        let key = StoreKey::builder("https://issuer.example.com").build();
        let token = Token::new("t0ken").expect("it is plain");
        let early = save(&store, &key, &token, Duration::ZERO).await;
        assert_eq!(early.unwrap_err().kind(), StoreErrorKind::Busy);
        assert_eq!(store.leases_left.load(Ordering::Relaxed), 99);
        let saved = save(&store, &key, &token, Persisted::SAVE_TIMEOUT).await;
        saved.expect("the leases have ended");
        assert!(store.load(&key).await.expect("it works").is_some());
    }
}
