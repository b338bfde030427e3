//! What the times in a response say: when to come back, and whether the clocks differ.

use std::time::Duration;

use http::StatusCode;
use http::header::DATE;

use crate::error::error::Error;
use crate::exchange::retry_after::RetryAfter;
use crate::oauth::http_client::ServerResponse;

impl ServerResponse {
    /// Adds the pause that the server asks for (`Retry-After`) to the error that this response means.
    pub(crate) fn add_pause(&self, error: Error) -> Error {
        match RetryAfter::from_headers(&self.headers) {
            Some(pause) => error.retry_after(pause.wait(self.received)),
            None => error,
        }
    }

    /// What to do about a refusal if the clocks of this machine and of the server differ: a JWT has times.
    ///
    /// It begins with a semicolon. It is empty if the clocks agree, or if the status is no refusal of a credential.
    pub(crate) fn clock_advice(&self) -> String {
        let date = self.headers.get(DATE).and_then(|date| date.to_str().ok());
        let Some(date) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
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

/// Servers tolerate a smaller difference of clocks. The header `Date` has whole seconds, and may come from a cache.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);
