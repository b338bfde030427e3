//! Replaces a token that has not expired: because a server rejected it, or because a person wants a new one.

use keyfob::cache::Lease;
use keyfob::exchange::Challenges;
use keyfob::store::TokenStore;
use keyfob::{Error, Profile, Token, TokenCache};

use crate::output::error::CliError;

/// A new token, or the one with which another program replaces the current one at the same time (T1).
pub(crate) async fn renewed(tokens: &TokenCache) -> Result<Lease, CliError> {
    tokens.renew().await?;
    let expired =
        || Error::unavailable("the new token has expired already; check the clock of this machine");
    Ok(tokens.current().ok_or_else(expired)?)
}

/// Another token than the rejected one (T8).
pub(crate) async fn other_than(
    tokens: &TokenCache,
    is_rejected: impl Fn(&Lease) -> bool,
) -> Result<Lease, CliError> {
    let lease = tokens.lease(None).await?;
    if !is_rejected(&lease) {
        return Ok(lease);
    }
    Ok(tokens.replace(&lease, &Challenges::default(), None).await?)
}

/// Shows the cache the token that is stored, so that a token which another program stores from now on counts as its renewal.
pub(crate) async fn show_stored(profile: &Profile, tokens: &TokenCache) -> Result<(), CliError> {
    if let Some(token) = stored_token(profile).await? {
        // Fails for a token that has expired. Then there is nothing to compare with.
        let _ = tokens.set_token(token);
    }
    Ok(())
}

/// The token in the profile's store. None if the store cannot be read, which the renewal reports.
pub(crate) async fn stored_token(profile: &Profile) -> Result<Option<Token>, CliError> {
    let Some((store, key)) = profile.store()? else {
        return Ok(None);
    };
    let stored = store.load(&key).await.ok().flatten();
    Ok(stored.and_then(|stored| stored.entry.token().cloned()))
}
