//! `keyfob status`: lists the stored tokens.

use std::time::SystemTime;

use clap::Args;
use keyfob::Profiles;
use keyfob::store::EntrySummary;
use serde_json::{Value, json};

use crate::options::profile::{ConfigOption, SubjectOption, no_profile};
use crate::output::columns::columns;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::json::{JsonOption, print_json, seconds_between, utc};
use crate::output::print::{print_hint, print_stdout};
use crate::output::span::span;
use crate::stored_tokens;
use crate::stored_tokens::StoredToken;

/// Print which tokens are stored, and whether they are valid, without any secret
///
/// AGE is the time since the token was fetched, EXPIRES the time until it expires. SCOPES are those that the server granted.
#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    json: JsonOption,
    #[command(flatten)]
    subject: SubjectOption,
    #[command(flatten)]
    config: ConfigOption,
}

impl Status {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        let profiles = self.config.profiles()?;
        let now = SystemTime::now();
        let mut all = stored_tokens::all(&profiles).await;
        if let Some(key) = self.subject.key()? {
            all.tokens = stored_tokens::of_subject(all.tokens, &profiles, &key)?;
        }
        let tokens = &all.tokens;
        if self.json.json {
            let tokens: Vec<_> = tokens.iter().map(|token| fields(token, now)).collect();
            print_json(&json!({"tokens": tokens}))?;
            return all.outcome();
        }
        if tokens.is_empty() && !all.is_incomplete {
            print_hint(no_token(&profiles));
        }
        let mut rows: Vec<_> = tokens
            .iter()
            .map(|token| row(token, is_in_several_stores(token, tokens), now))
            .collect();
        rows.sort();
        let titles = [
            "PROFILE", "TOKEN", "AGE", "EXPIRES", "SCOPES", "NOTE", "ENTRY",
        ];
        print_stdout(columns(titles, &rows))?;
        all.outcome()
    }
}

/// The fields that a program reads.
fn fields(stored: &StoredToken, now: SystemTime) -> Value {
    let entry = &stored.entry;
    let scopes: Option<Vec<_>> = (entry.scope.as_deref()).map(|scope| scope.split(' ').collect());
    json!({
        "profile": stored.profile,
        "token": state(entry, now),
        "obtained": utc(entry.obtained),
        "age_seconds": seconds_between(entry.obtained, Some(now)),
        "expires": utc(entry.expires),
        "expires_in_seconds": seconds_between(Some(now), entry.expires),
        "scopes": scopes,
        "has_refresh_token": entry.has_refresh_token,
        "renewal_started": utc(entry.exchange_started),
        "last_error": entry.last_error.map(|kind| kind.to_string()),
        "unreadable": entry.unreadable.as_ref().map(ToString::to_string),
        "entry": entry.key.label(),
        "store": stored.location,
    })
}

/// Whether another store has an entry under the same key, as after a move.
fn is_in_several_stores(stored: &StoredToken, all: &[StoredToken]) -> bool {
    let id = stored.entry.key.id();
    all.iter()
        .filter(|other| other.entry.key.id() == id)
        .count()
        > 1
}

fn state(entry: &EntrySummary, now: SystemTime) -> &'static str {
    let expired = entry.expires.is_some_and(|end| end <= now);
    match (entry.has_token, expired) {
        (true, false) => "valid",
        (true, true) => "expired",
        (false, _) => "none",
    }
}

/// What to do when no token is stored.
fn no_token(profiles: &Profiles) -> String {
    match no_profile(profiles) {
        Some(hint) => format!("no token is stored; {hint}"),
        None => "no token is stored; `keyfob token --profile NAME` fetches one, and `keyfob login NAME` signs you in".to_owned(),
    }
}

fn row(stored: &StoredToken, names_store: bool, now: SystemTime) -> [String; 7] {
    let entry = &stored.entry;
    let since = |time: Option<SystemTime>| time.and_then(|time| now.duration_since(time).ok());
    let age = since(entry.obtained).map_or_else(|| "-".into(), span);
    let expires = match entry.expires.map(|end| end.duration_since(now)) {
        None => "-".into(),
        Some(Ok(left)) => format!("in {}", span(left)),
        Some(Err(expired)) => format!("{} ago", span(expired.duration())),
    };
    [
        stored.profile.clone().unwrap_or_else(|| "-".into()),
        state(entry, now).to_owned(),
        age,
        expires,
        entry.scope.clone().unwrap_or_else(|| "-".into()),
        note(stored, names_store),
        entry.key.label().to_owned(),
    ]
}

/// Other facts about the entry, in a few words.
fn note(stored: &StoredToken, names_store: bool) -> String {
    let entry = &stored.entry;
    let mut notes = Vec::new();
    if names_store {
        notes.push(format!("in {}", stored.location));
    }
    if entry.has_refresh_token {
        notes.push("with refresh token".to_owned());
    }
    if entry.exchange_started.is_some() {
        notes.push("a renewal was started, and its outcome is unknown".to_owned());
    }
    if let Some(kind) = entry.last_error {
        notes.push(format!("last error: {kind}"));
    }
    if let Some(trouble) = &entry.unreadable {
        notes.push(format!("cannot be read: {trouble}"));
    }
    match notes.is_empty() {
        true => "-".into(),
        false => notes.join(", "),
    }
}
