//! `keyfob status`: lists the stored tokens.

use std::time::SystemTime;

use clap::Args;
use keyfob::store::EntrySummary;

use crate::options::profile::ConfigOption;
use crate::output::columns::columns;
use crate::output::error::CliError;
use crate::output::exit_code::{ExitCode, table};
use crate::output::print::print_stdout;
use crate::output::span::span;
use crate::stored_tokens;
use crate::stored_tokens::StoredToken;

/// Print which tokens are stored, and whether they are valid, without any secret
///
/// AGE is the time since the token was fetched, EXPIRES the time until it expires. SCOPES are those that the server granted.
#[derive(Args)]
#[command(after_long_help = table())]
pub(crate) struct Status {
    #[command(flatten)]
    config: ConfigOption,
}

impl Status {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        let profiles = self.config.profiles()?;
        let now = SystemTime::now();
        let tokens = stored_tokens::all(&profiles).await?;
        let mut rows: Vec<_> = tokens.iter().map(|token| row(token, now)).collect();
        rows.sort();
        let titles = [
            "PROFILE", "TOKEN", "AGE", "EXPIRES", "SCOPES", "NOTE", "ENTRY",
        ];
        print_stdout(columns(titles, &rows))?;
        Ok(ExitCode::Done)
    }
}

fn row(stored: &StoredToken, now: SystemTime) -> [String; 7] {
    let entry = &stored.entry;
    let expired = entry.expires.is_some_and(|end| end <= now);
    let token = match (entry.has_token, expired) {
        (true, false) => "valid",
        (true, true) => "expired",
        (false, _) => "none",
    };
    let since = |time: Option<SystemTime>| time.and_then(|time| now.duration_since(time).ok());
    let age = since(entry.obtained).map_or_else(|| "-".into(), span);
    let expires = match entry.expires.map(|end| end.duration_since(now)) {
        None => "-".into(),
        Some(Ok(left)) => format!("in {}", span(left)),
        Some(Err(expired)) => format!("{} ago", span(expired.duration())),
    };
    [
        stored.profile.clone().unwrap_or_else(|| "-".into()),
        token.to_owned(),
        age,
        expires,
        entry.scope.clone().unwrap_or_else(|| "-".into()),
        note(entry),
        entry.key.label().to_owned(),
    ]
}

/// Other facts about the entry, in a few words.
fn note(entry: &EntrySummary) -> String {
    let mut notes = Vec::new();
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
