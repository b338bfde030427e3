//! `keyfob store check`: what works, and what does not.

use std::time::{Duration, Instant, SystemTime};

use keyfob::Token;
use keyfob::error::printable;
use keyfob::store::{Entry, StoreError, StoreKey, StoreLease, TokenStore};

use crate::output::error::{CliError, with_causes};
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;
use crate::stored_tokens::LOCK_TIMEOUT;

/// Writes, reads and removes an entry of its own; then reads those of others.
pub(super) async fn run(store: &dyn TokenStore) -> Result<ExitCode, CliError> {
    let start = Instant::now();
    let mut is_good = line("round trip", round_trip(store).await.map(|()| took(start)))?;
    if is_good {
        for entry in store.list().await.map_err(keyfob::Error::from)? {
            is_good &= match entry.unreadable {
                Some(fault) => line(entry.key.label(), Err(fault))?,
                None => line(entry.key.label(), read(store, &entry.key).await)?,
            };
        }
    }
    match is_good {
        true => Ok(ExitCode::Done),
        false => Err(CliError::silent(ExitCode::Failed)),
    }
}

/// Prints what was found. Returns whether it is good, as the marker of a token in another store is.
fn line(what: &str, found: Result<String, StoreError>) -> Result<bool, CliError> {
    let (mark, text) = match &found {
        Ok(text) => ("ok", text.clone()),
        Err(fault) if fault.moved_to().is_some() => ("moved", fault.to_string()),
        Err(fault) => {
            let cause = std::error::Error::source(fault);
            ("failed", with_causes(fault.to_string(), cause))
        }
    };
    let text = format!("{what}: {text}");
    print_stdout(format!("{mark:8}{}\n", printable(text)))?;
    Ok(mark != "failed")
}

fn took(start: Instant) -> String {
    let milliseconds = start.elapsed().as_millis();
    format!("lease, write, read and remove took {milliseconds} ms")
}

async fn round_trip(store: &dyn TokenStore) -> Result<(), StoreError> {
    try_out(store.lease(&own_key(), LOCK_TIMEOUT).await?).await
}

/// A key that no other run has, on no machine, so that two runs do not disturb each other.
pub(super) fn own_key() -> StoreKey {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let (process, now) = (std::process::id(), now.unwrap_or_default().as_nanos());
    let key = StoreKey::builder("keyfob store check").name(format!("{process} {now}"));
    key.build()
}

/// Writes, reads and removes an entry, and ends the lease. Nothing stays but, with a keyring, an empty lock file.
pub(super) async fn try_out(mut lease: Box<dyn StoreLease>) -> Result<(), StoreError> {
    let passed = write_and_read(&mut *lease).await;
    let removed = lease.remove().await;
    lease.release().await;
    passed.and(removed.map(drop))
}

async fn write_and_read(lease: &mut dyn StoreLease) -> Result<(), StoreError> {
    let token = Token::new("check").map_err(StoreError::unavailable)?;
    let token = token.expires_in(Duration::from_secs(60));
    lease.load().await?;
    lease.save(&Entry::new(token, SystemTime::now())).await?;
    match lease.load().await? {
        Some(_) => Ok(()),
        None => Err(StoreError::unavailable(keyfob::Error::unavailable(
            "what was written is not there",
        ))),
    }
}

/// Opens an entry, and compares the clocks of the machine that saved it and of this one.
async fn read(store: &dyn TokenStore, key: &StoreKey) -> Result<String, StoreError> {
    let Some(found) = store.load(key).await? else {
        return Ok("removed meanwhile".to_owned());
    };
    let Some(age) = found.age else {
        return Ok("can be opened".to_owned());
    };
    let now = SystemTime::now();
    let saved = now.checked_sub(age).unwrap_or(now);
    let (difference, effect) = match found.entry.saved().duration_since(saved) {
        Ok(ahead) if ahead > TOLERANCE => (format!("{} s ahead of", ahead.as_secs()), AHEAD),
        Err(behind) if behind.duration() > TOLERANCE => {
            (format!("{} s behind", behind.duration().as_secs()), BEHIND)
        }
        _ => return Ok("can be opened".to_owned()),
    };
    Ok(format!(
        "can be opened; the clock of the machine that saved it is {difference} this one{effect}"
    ))
}

const AHEAD: &str = "; after a sign-out, programs that have seen this entry refuse a new sign-in until this clock has caught up";
const BEHIND: &str = ", which does no harm to tokens of this store";

/// Clocks that differ by less are not worth a word.
const TOLERANCE: Duration = Duration::from_secs(5);
