//! An entry as bytes: one line with the version and a checksum, then JSON.

use std::borrow::Cow;
use std::io::Write;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderName;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::error::printable::printable;
use crate::store::entry::{Entry, Failure, PendingExchange};
use crate::store::error::StoreError;
use crate::store::key::{StoreKey, hex};
use crate::token::json::{FromObject, optional_object};
use crate::token::token::{Carrier, Expiry, Token};

/// Writes the entry of this key as bytes.
pub(crate) fn encode(key: &StoreKey, entry: &Entry) -> Zeroizing<Vec<u8>> {
    if let Some(place) = &entry.moved {
        let record = MovedRecord {
            moved: place.as_str().into(),
        };
        let body = serde_json::to_vec(&record).expect("text can be written");
        return with_head(MOVED, &body);
    }
    let record = Record::of(key, entry);
    // A buffer that grows leaves a copy behind that is not wiped, so it starts with room for any usual entry.
    let mut body = Zeroizing::new(Vec::with_capacity(64 * 1024));
    serde_json::to_writer(&mut *body, &record).expect("text and numbers can be written");
    framed(&body)
}

/// The body after the line with the version and the checksum.
pub(crate) fn framed(body: &[u8]) -> Zeroizing<Vec<u8>> {
    with_head(VERSION, body)
}

fn with_head(version: u32, body: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut whole = Zeroizing::new(Vec::with_capacity(body.len() + 64));
    writeln!(whole, "{MAGIC}{version} {}", checksum(body)).expect("memory can be written to");
    whole.extend_from_slice(body);
    whole
}

/// Reads an entry and its key from bytes.
pub(crate) fn decode(bytes: &[u8]) -> Result<(StoreKey, Entry), StoreError> {
    let body = body(bytes)?;
    // The cause is left out, because it may quote the entry.
    let FromObject(record): FromObject<Record<'_>> =
        serde_json::from_slice(body).map_err(|_| damaged())?;
    record.into_entry().ok_or_else(damaged)
}

fn body(bytes: &[u8]) -> Result<&[u8], StoreError> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (head, rest) = bytes.split_at(end.ok_or_else(damaged)?);
    let body = &rest[1..];
    let head = std::str::from_utf8(head).map_err(|_| damaged())?;
    let head = head.strip_prefix(MAGIC).ok_or_else(damaged)?;
    let (version, sum) = head.split_once(' ').ok_or_else(damaged)?;
    match version.parse::<u32>() {
        Ok(VERSION) if sum == checksum(body) => Ok(body),
        Ok(MOVED) if sum == checksum(body) => Err(moved(body)),
        // Not damaged: it must not be moved out of the way of the newer version.
        Ok(newer) if newer > MOVED => Err(newer_version()),
        _ => Err(damaged()),
    }
}

/// The error of an entry that was moved to another store.
///
/// It is not damaged, because nothing may take its place: the refresh token is in use elsewhere.
fn moved(body: &[u8]) -> StoreError {
    match serde_json::from_slice::<MovedRecord<'_>>(body) {
        Ok(record) => StoreError::unreadable(format!(
            "the stored token was moved to {}; use that store, or forget the token here",
            printable(&record.moved)
        ))
        .moved(&record.moved),
        Err(_) => damaged(),
    }
}

/// The error of an entry that an older version cannot read.
pub(crate) fn newer_version() -> StoreError {
    StoreError::unreadable(
        "the stored token was written by a newer version of keyfob; upgrade this one",
    )
}

pub(crate) fn damaged() -> StoreError {
    StoreError::damaged(Error::malformed("the stored token is damaged"))
}

fn checksum(body: &[u8]) -> String {
    hex(&digest(&SHA256, body).as_ref()[..16])
}

// The names are part of the stored format, so they stay when the types of the program change theirs. Fields borrow from the
// buffer, because it is wiped and a copy would not be.
#[derive(Deserialize, Serialize)]
struct Record<'a> {
    id: Cow<'a, str>,
    label: Cow<'a, str>,
    saved: u64,
    #[serde(
        borrow,
        default,
        deserialize_with = "optional_object",
        skip_serializing_if = "Option::is_none"
    )]
    token: Option<TokenRecord<'a>>,
    #[serde(
        borrow,
        default,
        deserialize_with = "optional_object",
        skip_serializing_if = "Option::is_none"
    )]
    begun: Option<PendingRecord<'a>>,
    #[serde(
        borrow,
        default,
        deserialize_with = "optional_object",
        skip_serializing_if = "Option::is_none"
    )]
    failure: Option<FailureRecord<'a>>,
}

#[derive(Deserialize, Serialize)]
struct MovedRecord<'a> {
    moved: Cow<'a, str>,
}

#[derive(Deserialize, Serialize)]
struct TokenRecord<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
    carrier: CarrierRecord<'a>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    obtained: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recheck: Option<u64>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    refresh: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    scope: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum CarrierRecord<'a> {
    Scheme(Cow<'a, str>),
    Field(Cow<'a, str>),
    Whole,
}

#[derive(Deserialize, Serialize)]
struct PendingRecord<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    with: Option<Cow<'a, str>>,
    at: u64,
    by: Cow<'a, str>,
    attempts: u32,
}

#[derive(Deserialize, Serialize)]
struct FailureRecord<'a> {
    at: u64,
    pause: u64,
    refusal: bool,
    message: Cow<'a, str>,
}

impl<'a> Record<'a> {
    fn of(key: &'a StoreKey, entry: &'a Entry) -> Self {
        Self {
            id: key.id().into(),
            label: key.label().into(),
            saved: milliseconds(entry.saved),
            token: entry.token.as_ref().map(TokenRecord::of),
            begun: entry.pending.as_ref().map(|pending| PendingRecord {
                with: pending.fingerprint.as_deref().map(Cow::Borrowed),
                at: milliseconds(pending.started),
                by: pending.process.as_str().into(),
                attempts: pending.attempts,
            }),
            failure: entry.failure.as_ref().map(|failure| FailureRecord {
                at: milliseconds(failure.at),
                pause: in_milliseconds(failure.pause),
                refusal: failure.is_refusal,
                message: failure.message.as_str().into(),
            }),
        }
    }

    fn into_entry(self) -> Option<(StoreKey, Entry)> {
        let token = match self.token {
            Some(token) => Some(token.into_token()?),
            None => None,
        };
        let entry = Entry {
            token,
            pending: self.begun.map(|pending| PendingExchange {
                fingerprint: pending.with.map(Cow::into_owned),
                started: time(pending.at),
                process: pending.by.into_owned(),
                attempts: pending.attempts,
            }),
            failure: self.failure.map(|failure| Failure {
                at: time(failure.at),
                pause: Duration::from_millis(failure.pause),
                is_refusal: failure.refusal,
                message: failure.message.into_owned(),
            }),
            saved: time(self.saved),
            moved: None,
            keeps_its_end: false,
        };
        let key = StoreKey::from_parts(self.id.into_owned(), self.label.into_owned());
        Some((key, entry))
    }
}

impl<'a> TokenRecord<'a> {
    fn of(token: &'a Token) -> Self {
        Self {
            text: token.expose().into(),
            carrier: match token.carrier() {
                Carrier::Scheme(scheme) => CarrierRecord::Scheme(scheme.into()),
                Carrier::Field(name) => CarrierRecord::Field(name.as_str().into()),
                Carrier::Whole => CarrierRecord::Whole,
            },
            others: token
                .others()
                .map(|(name, value)| (name.as_str().into(), value.into()))
                .collect(),
            expires: match token.expires() {
                Expiry::At(time) => Some(milliseconds(time)),
                // A hint is read from the text again.
                Expiry::In(_) | Expiry::Hint(_) | Expiry::Unknown => None,
            },
            obtained: token.obtained().map(milliseconds),
            recheck: token.recheck().map(in_milliseconds),
            refresh: token.refresh_token().map(Cow::Borrowed),
            scope: token.scope().map(Cow::Borrowed),
        }
    }

    fn into_token(self) -> Option<Token> {
        let carrier = match self.carrier {
            CarrierRecord::Scheme(scheme) => Carrier::Scheme(scheme.into_owned()),
            CarrierRecord::Field(name) => Carrier::Field(name.parse().ok()?),
            CarrierRecord::Whole => Carrier::Whole,
        };
        let mut token = Token::carried_by(self.text.into_owned(), carrier).ok()?;
        for (name, value) in self.others {
            let name: HeaderName = name.parse().ok()?;
            token = token.with_header(name, value).ok()?;
        }
        token = match self.expires {
            Some(expires) => token.expires_at(time(expires)),
            None => token.expiry_from_jwt(),
        };
        if let Some(obtained) = self.obtained {
            token = token.obtained_at(time(obtained));
        }
        if let Some(recheck) = self.recheck {
            token = token.recheck_after(Duration::from_millis(recheck));
        }
        if let Some(scope) = self.scope {
            token = token.with_scope(&scope);
        }
        match self.refresh {
            Some(refresh) => token.with_refresh_token(refresh).ok(),
            None => Some(token),
        }
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
    in_milliseconds(since_epoch.unwrap_or_default())
}

fn in_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A time that the system cannot represent becomes the epoch, so that its token counts as expired.
fn time(milliseconds: u64) -> SystemTime {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds));
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

const MAGIC: &str = "keyfob-token-";

/// Increased when older versions can no longer read what is written.
const VERSION: u32 = 1;

/// The version of what a moved entry leaves behind. A version of its own, because a program that does not know it must not take
/// the entry for one without a token.
const MOVED: u32 = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::error::StoreErrorKind;

    fn key() -> StoreKey {
        StoreKey::builder("https://issuer.example.com").build()
    }

    fn full() -> Entry {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let token = Token::new("text\"\\")
            .unwrap()
            .scheme("DPoP")
            .unwrap()
            .with_header(HeaderName::from_static("x-key"), "a value")
            .unwrap()
            .with_refresh_token("refresh")
            .unwrap()
            .with_scope("read write")
            .recheck_after(Duration::from_secs(10))
            .expires_in(Duration::from_millis(3_600_001));
        Entry {
            pending: Some(PendingExchange {
                fingerprint: Some("f00".to_owned()),
                started: now,
                process: "process 1 on a".to_owned(),
                attempts: 2,
            }),
            failure: Some(Failure {
                at: now,
                pause: Duration::from_secs(3),
                is_refusal: true,
                message: "no".to_owned(),
            }),
            ..Entry::new(token, now)
        }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let (entry, bytes) = (full(), encode(&key(), &full()));
        let (found, read) = decode(&bytes).unwrap();
        assert_eq!(found, key());
        let (token, before) = (read.token().unwrap(), entry.token().unwrap());
        assert!(token.same_as(before));
        assert_eq!(token.refresh_token(), Some("refresh"));
        assert_eq!(token.scope(), Some("read write"));
        assert_eq!(token.expires(), before.expires());
        assert_eq!(token.obtained(), before.obtained());
        assert_eq!(token.recheck(), before.recheck());
        assert_eq!(read.pending, entry.pending);
        assert_eq!(read.failure, entry.failure);
        assert_eq!(read.saved, entry.saved);
    }

    #[test]
    fn each_way_to_carry_a_token_is_stored() {
        let field = HeaderName::from_static("x-api-key");
        for token in [
            Token::new("a").unwrap(),
            Token::from_field(field, "a b").unwrap(),
            Token::from_authorization("Digest a=\"b\", c=\"d\"").unwrap(),
        ] {
            let entry = Entry::new(token.clone(), SystemTime::UNIX_EPOCH);
            let (_, read) = decode(&encode(&key(), &entry)).unwrap();
            assert!(read.token().unwrap().same_as(&token), "{token:?}");
        }
        // The other two are in tests/fixtures/formats.
        let whole = Token::from_authorization("t0ken").unwrap();
        let bytes = encode(&key(), &Entry::new(whole, SystemTime::UNIX_EPOCH));
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains(r#""carrier":"whole""#), "{text}");
    }

    #[test]
    fn an_entry_without_a_token_is_read_as_it_was_written() {
        let entry = Entry::empty(SystemTime::UNIX_EPOCH);
        let (_, read) = decode(&encode(&key(), &entry)).unwrap();
        assert!(read.token().is_none());
    }

    #[test]
    fn t9_an_entry_that_is_cut_anywhere_is_damaged() {
        let bytes = encode(&key(), &full());
        for length in 0..bytes.len() {
            let fault = decode(&bytes[..length]).unwrap_err();
            assert_eq!(fault.kind(), StoreErrorKind::Damaged, "{length} bytes");
        }
    }

    #[test]
    fn t9_an_entry_of_a_newer_version_is_not_damaged_but_unavailable() {
        let mut bytes = b"keyfob-token-3 whatever\n".to_vec();
        bytes.extend_from_slice(b"what a later version means by this");
        let fault = decode(&bytes).unwrap_err();
        assert_eq!(fault.kind(), StoreErrorKind::Unavailable);
        assert!(fault.to_string().contains("newer version"), "{fault}");
    }

    proptest! {
        #[test]
        fn s3_a_changed_byte_is_detected_and_never_quoted(at in 0usize..400, to: u8) {
            let mut bytes = encode(&key(), &full());
            let at = at % bytes.len();
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let fault = decode(&bytes).unwrap_err();
            let shown = format!("{fault:?}");
            prop_assert!(!shown.contains("refresh"), "{}", shown);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
