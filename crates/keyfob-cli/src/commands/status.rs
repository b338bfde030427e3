//! `keyfob status`: which tokens are kept, and how they stand.

use std::time::{Duration, SystemTime};

use clap::Args;
use keyfob::store::EntrySummary;

use crate::options::profile::ConfigOption;
use crate::output::columns::columns;
use crate::output::error::CliError;
use crate::output::exit_code::{ExitCode, table};
use crate::output::print::print_stdout;
use crate::stored_tokens;
use crate::stored_tokens::StoredToken;

/// Print which tokens are kept on this machine, and how they stand, without any secret
///
/// AGE is the time since the token was got, EXPIRES the time until it ends.
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
        let found = stored_tokens::all(&profiles).await?;
        let mut rows: Vec<_> = found.iter().map(|found| row(found, now)).collect();
        rows.sort();
        let titles = ["PROFILE", "TOKEN", "AGE", "EXPIRES", "NOTE", "ENTRY"];
        print_stdout(columns(titles, &rows))?;
        Ok(ExitCode::Done)
    }
}

fn row(found: &StoredToken, now: SystemTime) -> [String; 6] {
    let entry = &found.entry;
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
        Some(Err(past)) => format!("{} ago", span(past.duration())),
    };
    [
        found.profile.clone().unwrap_or_else(|| "-".into()),
        token.to_owned(),
        age,
        expires,
        note(entry),
        entry.key.label().to_owned(),
    ]
}

/// What is to be known besides, in a few words.
fn note(entry: &EntrySummary) -> String {
    let mut notes = Vec::new();
    if entry.has_refresh_token {
        notes.push("with refresh token".to_owned());
    }
    if entry.exchange_started.is_some() {
        notes.push("a renewal began, its answer is not known".to_owned());
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

/// A time in its largest unit that is not below two, as people say it.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_one_unit() {
        for (seconds, said) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), said);
        }
    }
}
