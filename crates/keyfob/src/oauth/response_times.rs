//! What the times in a response say: when to come back, and whether the clocks differ.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::DATE;

use crate::error::error::Error;
use crate::exchange::retry_after::RetryAfter;
use crate::oauth::http_client::ServerResponse;

impl ServerResponse {
    /// Adds the pause that the server asks for (`Retry-After`, or a rate limit) to the error that this response means.
    pub(crate) fn add_pause(&self, error: Error) -> Error {
        let pause = RetryAfter::from_headers(&self.headers);
        let pause = pause.map(|pause| pause.wait(self.received));
        match pause.or_else(|| self.rate_limit()) {
            Some(pause) => error.retry_after(pause),
            None => error,
        }
    }

    /// The time until a rate limit ends that has nothing left. GitHub says so in place of `Retry-After`, also with 403.
    fn rate_limit(&self) -> Option<Duration> {
        if !matches!(
            self.status,
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
        ) {
            return None;
        }
        let number = |name: &str| -> Option<u64> {
            let mut values = RATE_LIMITS.iter().map(|prefix| {
                let value = self.headers.get(format!("{prefix}{name}"))?;
                value.to_str().ok()?.trim().parse().ok()
            });
            values.find_map(|value| value)
        };
        let nothing_left = number("remaining")? == 0;
        let reset = number("reset").filter(|_| nothing_left)?;
        let now = self.date().unwrap_or(self.received);
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let left = match reset {
            seconds @ 0..EARLIEST_TIME => seconds,
            time => time.saturating_sub(now),
        };
        Some(Duration::from_secs(left.max(1)))
    }

    /// The time of the server.
    fn date(&self) -> Option<SystemTime> {
        let date = self.headers.get(DATE)?.to_str().ok()?;
        httpdate::parse_http_date(date).ok()
    }

    /// What to do about a refusal if the clocks of this machine and of the server differ: a JWT has times.
    ///
    /// It begins with a semicolon. It is empty if the clocks agree, or if the status is no refusal of a credential.
    pub(crate) fn clock_advice(&self) -> String {
        let Some(date) = self.date() else {
            return String::new();
        };
        let (word, difference) = match self.received.duration_since(date) {
            Ok(ahead) => ("ahead of", ahead),
            Err(behind) => ("behind", behind.duration()),
        };
        let seconds = difference.as_secs();
        match self.status {
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
                if difference > CLOCK_TOLERANCE =>
            {
                format!(
                    "; the clock of this machine is {seconds} s {word} that of the server: set it right"
                )
            }
            _ => String::new(),
        }
    }
}

/// How the headers of a rate limit begin: at GitHub and most others, at Okta, and at GitLab.
const RATE_LIMITS: [&str; 3] = ["x-ratelimit-", "x-rate-limit-", "ratelimit-"];

/// The end of a limit is a time in seconds since 1970. A smaller number is a number of seconds from now.
const EARLIEST_TIME: u64 = 1_000_000_000;

/// Servers tolerate a smaller difference of clocks. The header `Date` has whole seconds, and may come from a cache.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);
