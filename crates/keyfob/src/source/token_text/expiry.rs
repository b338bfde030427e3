//! Finds the expiry among the fields of a helper's output, whatever it is called (T5).
//!
//! A field whose name says that it is an expiry is read, or is an error. It is never ignored, because its token would then
//! be used after its end.

use std::time::{Duration, SystemTime};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::error::error::Error;
use crate::error::shown_name::is_word;
use crate::token::json::{Json, Object};
use crate::token::token::Expiry;

#[cfg(test)]
mod tests;

/// The value of a field that may be an expiry.
pub(super) enum Value<'a> {
    Number(f64),
    Text(&'a str),
    Other,
}

/// What the name of a field says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// A point in time.
    Time,
    /// `expiresOn` of the Azure CLI: a point in time in the zone of this machine, unless it names a zone.
    LocalTime,
    /// Seconds from now.
    Lifetime,
    /// An expiry in a form that is not known.
    Unknown,
    /// Something else, or the expiry of another thing than the token.
    Else,
}

/// The expiry in the fields of an object. If there are several, the earliest time counts, and a time before a lifetime.
pub(super) fn of(object: &Object) -> Result<Expiry, Error> {
    let fields = object.fields().filter_map(|(name, value)| {
        let value = match value {
            Json::Null => return None,
            Json::Integer(number) => Value::Number(*number as f64),
            Json::Fraction(number) => Value::Number(*number),
            Json::Text(text) => Value::Text(text),
            _ => Value::Other,
        };
        Some((name, value))
    });
    of_fields(fields)
}

pub(super) fn of_fields<'a>(
    fields: impl Iterator<Item = (&'a str, Value<'a>)>,
) -> Result<Expiry, Error> {
    let (mut time, mut local, mut lifetime) = (None, None, None);
    for (name, value) in fields {
        let unreadable = || unreadable(name);
        match meaning(name) {
            Meaning::Else => {}
            Meaning::Unknown => return Err(unknown(name)),
            Meaning::Time => {
                let read = read_time(&value, &TimeZone::UTC).ok_or_else(unreadable)?;
                time = earlier(time, read);
            }
            Meaning::LocalTime => local = Some((name, value)),
            Meaning::Lifetime => {
                let read = read_lifetime(&value).ok_or_else(unreadable)?;
                lifetime = earlier(lifetime, Some(read));
            }
        }
    }
    // Last, because a field that says the same in seconds since 1970 depends on no time zone.
    if let (None, Some((name, value))) = (time, local) {
        time = read_time(&value, &TimeZone::system()).ok_or_else(|| unreadable(name))?;
    }
    Ok(match (time, lifetime) {
        (Some(time), _) => Expiry::At(time),
        (None, Some(lifetime)) => Expiry::In(lifetime),
        (None, None) => Expiry::Unknown,
    })
}

fn earlier<T: Ord>(known: Option<T>, read: Option<T>) -> Option<T> {
    match (known, read) {
        (Some(known), Some(read)) => Some(known.min(read)),
        (known, read) => known.or(read),
    }
}

fn meaning(name: &str) -> Meaning {
    if name == "expiresOn" {
        return Meaning::LocalTime;
    }
    // One name has many spellings: `expires_at`, `expiresAt`, `Expires-At`.
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|char| char.to_ascii_lowercase())
        .collect();
    if OF_OTHER_THINGS.iter().any(|other| plain.contains(other)) || plain.ends_with("expired") {
        return Meaning::Else;
    }
    // `token_expiry` and `access_token_expires_in` say of what.
    let own = OF_THE_TOKEN.iter().find_map(|own| plain.strip_prefix(own));
    let plain = own.unwrap_or(&plain);
    if TIMES.contains(&plain) {
        Meaning::Time
    } else if LIFETIMES.contains(&plain) {
        Meaning::Lifetime
    } else if plain.contains("expir") {
        Meaning::Unknown
    } else {
        Meaning::Else
    }
}

/// A point in time; `Some(None)` if it means that there is none.
#[expect(
    clippy::option_option,
    reason = "a time that is `never set` is readable, and no time"
)]
fn read_time(value: &Value<'_>, zone: &TimeZone) -> Option<Option<SystemTime>> {
    if let Some(number) = number(value) {
        return unix_time(number).map(Some);
    }
    let Value::Text(text) = value else {
        return None;
    };
    let text = text.trim();
    let time = timestamp(text, zone)?;
    // Go writes the year 1 for a time that was never set.
    let was_set = text.get(..5) != Some("0001-");
    Some(was_set.then_some(time))
}

/// Seconds since 1970, or milliseconds. Seconds reach the year 10000 where milliseconds are still in 1978.
pub(crate) fn unix_time(number: f64) -> Option<SystemTime> {
    match number {
        seconds if seconds < YEAR_10000 => unix_seconds(seconds),
        milliseconds => unix_seconds(milliseconds / 1000.0),
    }
}

/// Seconds since 1970. From the year 10000 on, the number has another unit.
pub(crate) fn unix_seconds(seconds: f64) -> Option<SystemTime> {
    let since_epoch = Duration::try_from_secs_f64(seconds).ok()?;
    (seconds < YEAR_10000).then(|| SystemTime::UNIX_EPOCH + since_epoch)
}

/// A date and time: of RFC 3339 with a zone, or without one, or as HTTP, Go and the AWS CLI write it.
fn timestamp(text: &str, zone: &TimeZone) -> Option<SystemTime> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return time.try_into().ok();
    }
    if let Ok(time) = httpdate::parse_http_date(text) {
        return Some(time);
    }
    // `2030-01-01 00:00:00 +0000 UTC` of Go has a space before the offset, `2030-01-01T00:00:00UTC` a name.
    let plain = text.trim_end_matches("UTC").trim_end();
    let joined = plain.replace(" +", "+").replace(" -", "-");
    if let Ok(time) = joined.parse::<Timestamp>() {
        return time.try_into().ok();
    }
    // The last day that can be written, which means never, is beyond what a zone can be applied to.
    if text.starts_with("9999-12-31") {
        return Timestamp::MAX.try_into().ok();
    }
    let zone = if plain == text { zone } else { &TimeZone::UTC };
    let time: DateTime = plain.parse().ok()?;
    zone.to_timestamp(time).ok()?.try_into().ok()
}

fn read_lifetime(value: &Value<'_>) -> Option<Duration> {
    if let Some(number) = number(value) {
        // A lifetime that is too long to be represented is long enough.
        let is_possible = number <= u64::MAX as f64;
        return is_possible.then(|| Duration::try_from_secs_f64(number).unwrap_or(Duration::MAX));
    }
    let Value::Text(text) = value else {
        return None;
    };
    // `1h30m` of Go, and `PT1H` of ISO 8601.
    let read: SignedDuration = text.trim().parse().ok()?;
    read.try_into().ok()
}

/// A number that is not negative, or a text of digits that may have a fraction.
fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Number(number) => (*number >= 0.0).then_some(*number),
        Value::Text(text) => {
            let text = text.trim();
            let is_number = text.starts_with(|char: char| char.is_ascii_digit())
                && text
                    .chars()
                    .all(|char| char.is_ascii_digit() || char == '.');
            text.parse().ok().filter(|_| is_number)
        }
        Value::Other => None,
    }
}

fn unreadable(name: &str) -> Error {
    Error::malformed(format!(
        "it has an expiry in {} that cannot be read as a time",
        shown(name)
    ))
}

fn unknown(name: &str) -> Error {
    Error::malformed(format!(
        "it has the field {}, whose name says that it is an expiry, in a form that is not known; \
         give `expires_at` as in RFC 3339, or `expires_in` in seconds",
        shown(name)
    ))
}

/// The name of a field, if it cannot be a secret.
fn shown(name: &str) -> String {
    match is_word(name, LONGEST_NAME) {
        true => format!("`{name}`"),
        false => "a field".to_owned(),
    }
}

const LONGEST_NAME: usize = 40;

/// The first second of the year 10000.
const YEAR_10000: f64 = 253_402_300_800.0;

/// Expiries of something else. `ext_expires_in` and `extended_expires_on` of Microsoft are for an outage of the server,
/// `registrationExpiresAt` of AWS is that of the client.
const OF_OTHER_THINGS: [&str; 6] = [
    "clientsecret",
    "extended",
    "extexpires",
    "idtoken",
    "refresh",
    "registration",
];

/// Longer names first, because the first that fits is taken away.
const OF_THE_TOKEN: [&str; 6] = [
    "accesstoken",
    "access",
    "token",
    "credential",
    "password",
    "jwt",
];

const TIMES: [&str; 25] = [
    "exp",
    "expiration",
    "expirationdate",
    "expirationtime",
    "expirationtimestamp",
    "expirationutc",
    "expireat",
    "expiredate",
    "expires",
    "expiresat",
    "expiresattimestamp",
    "expiresdate",
    "expireson",
    "expirestime",
    "expirestimestamp",
    "expiresutc",
    "expiretime",
    "expiry",
    "expirydate",
    "expirytime",
    "expirytimestamp",
    "expiryutc",
    "notafter",
    "validto",
    "validuntil",
];

const LIFETIMES: [&str; 13] = [
    "expirationseconds",
    "expirein",
    "expiresin",
    "expiresinsec",
    "expiresinseconds",
    "expiresinsecs",
    "leaseduration",
    "lifetime",
    "lifetimeseconds",
    "ttl",
    "validfor",
    "validityinseconds",
    "validityseconds",
];
