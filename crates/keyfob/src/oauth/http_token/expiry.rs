//! Where the expiry of a token is in a response, and how it is written.

use std::time::SystemTime;

use jiff::Timestamp;

use crate::error::error::Error;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::http_token::pointer::Pointer;
use crate::oauth::token_response::{number, read_seconds, read_time};
use crate::source::token_text::expiry::unix_seconds;
use crate::token::json::Json;
use crate::token::token::Expiry;

/// How the expiry of a token is written in a response. Numbers may be written as text.
///
/// ```
/// use keyfob::HttpToken;
/// use keyfob::oauth::ExpiryForm;
///
/// let source = HttpToken::builder("https://vault.example.com/v1/auth/approle/login")
///     .json("/role_id", "ci")
///     .token("/auth/client_token")
///     .expiry("/auth/lease_duration", ExpiryForm::SecondsOrNever)
///     .build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpiryForm {
    /// Any of the others, except that zero seconds is no "never".
    #[default]
    Any,
    /// The number of seconds that the token is valid from now.
    Seconds,
    /// The same, and zero means that it does not expire.
    SecondsOrNever,
    /// A date and time as in RFC 3339.
    Rfc3339,
    /// The seconds since 1970.
    UnixSeconds,
    /// The milliseconds since 1970.
    UnixMilliseconds,
}

/// A pointer to the expiry, and its form.
pub(crate) struct ExpirySetting {
    pub(crate) pointer: Pointer,
    pub(crate) form: ExpiryForm,
}

impl ExpirySetting {
    /// Reads the expiry. T5: a value that is there and cannot be read is an error.
    pub(crate) fn read(&self, endpoint: &Endpoint, json: &Json) -> Result<Expiry, Error> {
        let value = self.pointer.find(endpoint, "the expiry", json)?;
        self.form.read(value).ok_or_else(|| {
            Error::malformed(format!(
                "{endpoint} sent an expiry at `{}` that is not {}",
                self.pointer,
                self.form.wanted()
            ))
        })
    }
}

impl ExpiryForm {
    fn read(self, value: &Json) -> Option<Expiry> {
        match (self, value) {
            // The server says that there is none.
            (_, Json::Null) => Some(Expiry::Unknown),
            (Self::Any, value) => read_time(value),
            (Self::SecondsOrNever, value) if number(value) == Some(0.0) => Some(Expiry::Unknown),
            (Self::Seconds | Self::SecondsOrNever, value) => {
                read_seconds(Some(value)).map(Expiry::In)
            }
            (Self::Rfc3339, Json::Text(text)) => {
                let time = text.trim().parse::<Timestamp>().ok()?;
                SystemTime::try_from(time).ok().map(Expiry::At)
            }
            (Self::Rfc3339, _) => None,
            (Self::UnixSeconds, value) => unix_seconds(number(value)?).map(Expiry::At),
            (Self::UnixMilliseconds, value) => {
                unix_seconds(number(value)? / 1000.0).map(Expiry::At)
            }
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Any => "a time as in RFC 3339 or a number of seconds",
            Self::Seconds | Self::SecondsOrNever => "a number of seconds",
            Self::Rfc3339 => "a time as in RFC 3339",
            Self::UnixSeconds => "a number of seconds since 1970",
            Self::UnixMilliseconds => "a number of milliseconds since 1970",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn t5_each_form_reads_numbers_and_numbers_as_text() {
        let at = |seconds| {
            Some(Expiry::At(
                SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            ))
        };
        let within = |seconds| Some(Expiry::In(Duration::from_secs(seconds)));
        let never = Some(Expiry::Unknown);
        for (form, json, expected) in [
            (ExpiryForm::Seconds, "3599", within(3599)),
            (ExpiryForm::Seconds, "\"3599\"", within(3599)),
            (ExpiryForm::Seconds, "0", within(0)),
            (ExpiryForm::SecondsOrNever, "0", never),
            (ExpiryForm::SecondsOrNever, "\"60\"", within(60)),
            (ExpiryForm::Seconds, "\"2030-01-01T00:00:00Z\"", None),
            (ExpiryForm::UnixSeconds, "1700000000", at(1_700_000_000)),
            (ExpiryForm::UnixSeconds, "\"1700000000\"", at(1_700_000_000)),
            (ExpiryForm::UnixSeconds, "1700000000000", None),
            (
                ExpiryForm::UnixMilliseconds,
                "1700000000000",
                at(1_700_000_000),
            ),
            (
                ExpiryForm::Rfc3339,
                "\"2023-11-14T22:13:20Z\"",
                at(1_700_000_000),
            ),
            (ExpiryForm::Rfc3339, "1700000000", None),
            (ExpiryForm::Rfc3339, "\"soon\"", None),
            (ExpiryForm::Any, "\"3599\"", within(3599)),
            (ExpiryForm::Any, "\"1700000000\"", at(1_700_000_000)),
            (
                ExpiryForm::Any,
                "\"2023-11-14T22:13:20Z\"",
                at(1_700_000_000),
            ),
            // The last second of the year 9999 means never, and a larger unit than milliseconds nothing.
            (ExpiryForm::Any, "253402300799", at(253_402_300_799)),
            (ExpiryForm::Any, "253402300799000", at(253_402_300_799)),
            (ExpiryForm::Any, "1925000000000000", None),
            (ExpiryForm::Any, "1925000000000000000", None),
            (ExpiryForm::Any, "true", None),
            (ExpiryForm::Seconds, "null", never),
        ] {
            let value: Json = serde_json::from_str(json).unwrap();
            assert_eq!(form.read(&value), expected, "{form:?} {json}");
        }
    }
}
