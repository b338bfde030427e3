//! The nonces that servers want to find in proofs, by origin (RFC 9449 §8 and §9).

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use crate::origin::origin::Origin;
use crate::runtime::lock::{Mutex, lock};

/// The newest nonce of each origin.
#[derive(Debug, Default)]
pub(super) struct Nonces(Mutex<Vec<Known>>);

/// What is known of one origin.
#[derive(Debug)]
struct Known {
    origin: Origin,
    newest: Arc<str>,
    /// What the newest took the place of.
    before: Option<Arc<str>>,
}

/// How a server told a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// In a refusal: this one is wanted, and the one that was sent is not.
    Demanded,
    /// With an answer that may be older than a refusal that was received already.
    Beside,
}

impl Nonces {
    pub(super) fn newest(&self, origin: &Origin) -> Option<Arc<str>> {
        let known = lock(&self.0);
        let known = known.iter().find(|known| known.origin == *origin)?;
        Some(Arc::clone(&known.newest))
    }

    /// Takes note of a nonce, unless it is the one that another took the place of meanwhile.
    pub(super) fn record_nonce(&self, origin: Origin, nonce: &str, told: Told) {
        let mut all = lock(&self.0);
        let Some(known) = all.iter_mut().find(|known| known.origin == origin) else {
            if all.len() == MAX_ORIGINS {
                all.remove(0);
            }
            all.push(Known {
                origin,
                newest: nonce.into(),
                before: None,
            });
            return;
        };
        let late = told == Told::Beside && known.before.as_deref() == Some(nonce);
        if !late && *known.newest != *nonce {
            known.before = Some(std::mem::replace(&mut known.newest, nonce.into()));
        }
    }
}

/// The nonce of an answer, if there is exactly one that can be one.
pub(super) fn of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut fields = headers.get_all(name).iter();
    let nonce = fields.next()?.as_bytes();
    if fields.any(|other| other.as_bytes() != nonce) {
        return None;
    }
    let fits = (1..=MAX_LENGTH).contains(&nonce.len()) && nonce.iter().copied().all(is_nqchar);
    std::str::from_utf8(nonce).ok().filter(|_| fits)
}

/// What a nonce is made of, by [RFC 9449 §8.1](https://www.rfc-editor.org/rfc/rfc9449.html#section-8.1).
fn is_nqchar(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

/// So many origins are remembered; of more, the first is forgotten.
const MAX_ORIGINS: usize = 64;

/// A longer nonce would make requests that servers refuse for their size.
const MAX_LENGTH: usize = 2048;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    fn newest(nonces: &Nonces, origin: &Origin) -> String {
        nonces.newest(origin).unwrap().to_string()
    }

    #[test]
    fn the_newest_nonce_of_each_origin_wins() {
        let (a, b) = (
            origin("https://a.example"),
            origin("https://a.example:8443"),
        );
        let nonces = Nonces::default();
        assert_eq!(nonces.newest(&a), None);
        nonces.record_nonce(a.clone(), "a-1", Told::Beside);
        nonces.record_nonce(b.clone(), "b-1", Told::Demanded);
        nonces.record_nonce(a.clone(), "a-2", Told::Beside);
        assert_eq!(newest(&nonces, &a), "a-2");
        assert_eq!(newest(&nonces, &b), "b-1");
    }

    #[test]
    fn an_answer_that_was_late_does_not_bring_back_what_was_refused() {
        let a = origin("https://a.example");
        let nonces = Nonces::default();
        nonces.record_nonce(a.clone(), "one", Told::Beside);
        nonces.record_nonce(a.clone(), "two", Told::Demanded);
        nonces.record_nonce(a.clone(), "one", Told::Beside);
        assert_eq!(newest(&nonces, &a), "two");
        // A server that asks for it means it.
        nonces.record_nonce(a.clone(), "one", Told::Demanded);
        assert_eq!(newest(&nonces, &a), "one");
    }

    #[test]
    fn the_same_nonce_again_changes_nothing() {
        let a = origin("https://a.example");
        let nonces = Nonces::default();
        for (nonce, told) in [
            ("one", Told::Beside),
            ("two", Told::Beside),
            ("two", Told::Beside),
            ("one", Told::Beside),
        ] {
            nonces.record_nonce(a.clone(), nonce, told);
        }
        assert_eq!(newest(&nonces, &a), "two");
    }

    #[test]
    fn no_more_origins_than_the_limit_are_remembered() {
        let nonces = Nonces::default();
        let numbered = |i: usize| origin(&format!("https://a.example:{}", 1000 + i));
        for i in 0..=MAX_ORIGINS {
            nonces.record_nonce(numbered(i), "n", Told::Beside);
        }
        assert_eq!(nonces.newest(&numbered(0)), None);
        assert!((1..=MAX_ORIGINS).all(|i| nonces.newest(&numbered(i)).is_some()));
    }

    #[test]
    fn what_cannot_be_one_nonce_is_none() {
        let read = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(NONCE, HeaderValue::from_bytes(value).unwrap());
            }
            of(&headers, &NONCE).map(str::to_owned)
        };
        assert_eq!(read(&[b"a~1.!"]).as_deref(), Some("a~1.!"));
        assert_eq!(read(&[b"same", b"same"]).as_deref(), Some("same"));
        let long = vec![b'n'; MAX_LENGTH + 1];
        let faulty: [&[&[u8]]; 7] = [
            &[],
            &[b""],
            &[b"two words"],
            &[b"a\"b"],
            &[b"a\\b"],
            &[b"caf\xc3\xa9"],
            &[b"one", b"two"],
        ];
        for values in faulty {
            assert_eq!(read(values), None, "{values:?}");
        }
        assert_eq!(read(&[&long]), None);
    }
}
