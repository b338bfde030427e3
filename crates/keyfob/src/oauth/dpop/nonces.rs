//! The nonces that servers want to find in proofs, by origin (RFC 9449 §8 and §9).

use std::sync::Arc;

use http::HeaderMap;

use crate::exchange::proof::DPOP_NONCE;
use crate::origin::origin::Origin;
use crate::runtime::lock::{Mutex, lock};

/// The newest nonce of each origin.
#[derive(Debug, Default)]
pub(super) struct Nonces(Mutex<Vec<OriginNonces>>);

/// The nonces of one origin.
#[derive(Debug)]
struct OriginNonces {
    origin: Origin,
    newest: Arc<str>,
    /// The nonce that the newest one replaced.
    previous: Option<Arc<str>>,
}

/// The kind of response that supplied a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NonceOrigin {
    /// An error response that demands this nonce instead of the one that was sent.
    Demand,
    /// Any other response. It may be older than a demand that has already arrived.
    OtherResponse,
}

impl Nonces {
    pub(super) fn newest(&self, origin: &Origin) -> Option<Arc<str>> {
        let all = lock(&self.0);
        let known = all.iter().find(|known| known.origin == *origin)?;
        Some(Arc::clone(&known.newest))
    }

    /// Records a nonce, unless a late response brings back the one that was replaced.
    pub(super) fn record(&self, origin: Origin, nonce: &str, nonce_origin: NonceOrigin) {
        let mut all = lock(&self.0);
        let Some(known) = all.iter_mut().find(|known| known.origin == origin) else {
            // A forgotten nonce costs one more round trip. Without a limit, redirects to ever new origins would fill memory.
            if all.len() == MAX_ORIGINS {
                all.remove(0);
            }
            all.push(OriginNonces {
                origin,
                newest: nonce.into(),
                previous: None,
            });
            return;
        };
        // Responses to parallel requests arrive in any order. Only a demand proves that the server wants this nonce now.
        let is_late =
            nonce_origin == NonceOrigin::OtherResponse && known.previous.as_deref() == Some(nonce);
        if !is_late && *known.newest != *nonce {
            known.previous = Some(std::mem::replace(&mut known.newest, nonce.into()));
        }
    }
}

/// The nonce in a response, if there is exactly one and it is well formed.
pub(crate) fn read_nonce(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(DPOP_NONCE).iter();
    let nonce = values.next()?.as_bytes();
    // Which of two nonces the server means is unknown.
    if values.any(|other| other.as_bytes() != nonce) {
        return None;
    }
    let is_valid = (1..=MAX_LENGTH).contains(&nonce.len()) && nonce.iter().copied().all(is_nqchar);
    std::str::from_utf8(nonce).ok().filter(|_| is_valid)
}

/// `nonce = 1*NQCHAR` ([RFC 9449 §8.1](https://www.rfc-editor.org/rfc/rfc9449.html#section-8.1)).
fn is_nqchar(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

/// How many origins are remembered. Beyond that, the oldest is forgotten.
const MAX_ORIGINS: usize = 64;

/// A longer nonce would make requests that servers refuse for their size.
const MAX_LENGTH: usize = 2048;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    fn newest(nonces: &Nonces, origin: &Origin) -> String {
        nonces.newest(origin).unwrap().to_string()
    }

    #[test]
    fn each_origin_has_its_newest_nonce() {
        let (a, b) = (
            origin("https://a.example"),
            origin("https://a.example:8443"),
        );
        let nonces = Nonces::default();
        assert_eq!(nonces.newest(&a), None);
        nonces.record(a.clone(), "a-1", NonceOrigin::OtherResponse);
        nonces.record(b.clone(), "b-1", NonceOrigin::Demand);
        nonces.record(a.clone(), "a-2", NonceOrigin::OtherResponse);
        assert_eq!(newest(&nonces, &a), "a-2");
        assert_eq!(newest(&nonces, &b), "b-1");
    }

    #[test]
    fn a_late_response_does_not_bring_back_a_nonce_that_was_replaced() {
        let a = origin("https://a.example");
        let nonces = Nonces::default();
        nonces.record(a.clone(), "one", NonceOrigin::OtherResponse);
        nonces.record(a.clone(), "two", NonceOrigin::Demand);
        nonces.record(a.clone(), "one", NonceOrigin::OtherResponse);
        assert_eq!(newest(&nonces, &a), "two");
        // A server may demand an old nonce again.
        nonces.record(a.clone(), "one", NonceOrigin::Demand);
        assert_eq!(newest(&nonces, &a), "one");
    }

    #[test]
    fn a_repeated_nonce_changes_nothing() {
        let a = origin("https://a.example");
        let nonces = Nonces::default();
        for (nonce, nonce_origin) in [
            ("one", NonceOrigin::OtherResponse),
            ("two", NonceOrigin::OtherResponse),
            ("two", NonceOrigin::OtherResponse),
            ("one", NonceOrigin::OtherResponse),
        ] {
            nonces.record(a.clone(), nonce, nonce_origin);
        }
        assert_eq!(newest(&nonces, &a), "two");
    }

    #[test]
    fn the_number_of_remembered_origins_is_limited() {
        let nonces = Nonces::default();
        let numbered = |i: usize| origin(&format!("https://a.example:{}", 1000 + i));
        for i in 0..=MAX_ORIGINS {
            nonces.record(numbered(i), "n", NonceOrigin::OtherResponse);
        }
        assert_eq!(nonces.newest(&numbered(0)), None);
        assert!((1..=MAX_ORIGINS).all(|i| nonces.newest(&numbered(i)).is_some()));
    }

    #[test]
    fn a_missing_malformed_or_ambiguous_nonce_is_ignored() {
        let read = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(DPOP_NONCE, HeaderValue::from_bytes(value).unwrap());
            }
            read_nonce(&headers).map(str::to_owned)
        };
        assert_eq!(read(&[b"a~1.!"]).as_deref(), Some("a~1.!"));
        assert_eq!(read(&[b"same", b"same"]).as_deref(), Some("same"));
        let long = vec![b'n'; MAX_LENGTH + 1];
        let invalid: [&[&[u8]]; 7] = [
            &[],
            &[b""],
            &[b"two words"],
            &[b"a\"b"],
            &[b"a\\b"],
            &[b"caf\xc3\xa9"],
            &[b"one", b"two"],
        ];
        for values in invalid {
            assert_eq!(read(values), None, "{values:?}");
        }
        assert_eq!(read(&[&long]), None);
    }
}
