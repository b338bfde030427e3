//! `keyfob store check`: what works, and what does not.

use std::time::{Duration, Instant, SystemTime};

use keyfob::error::printable;
use keyfob::store::{StoreError, StoreKey, TokenStore};

use crate::output::error::{CliError, with_causes};
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;
use crate::stored_tokens::round_trip;

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
