//! Whose token the requests of a client carry, on a route with a token for each of many.

use std::collections::BTreeMap;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName};

use crate::client::proxy::admission::refusal::{Refusal, single};
use crate::client::proxy::arrival::CLIENT_SECRET;
use crate::error::error::Error;
use crate::pool::key::PoolKey;

/// Whose token the requests of each client carry, on a route that takes its tokens from a pool.
///
/// The client is the one whose secret the request has. A request of another client, or without a secret, is refused (R2, T10).
///
/// ```
/// use keyfob::proxy::Subjects;
///
/// let subjects = Subjects::new()
///     .client("reports", "reports@example.com".try_into()?)
///     .trusted_client("gateway", "x-user".parse().unwrap())?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Subjects {
    clients: BTreeMap<String, Subject>,
}

/// Where the subject of a client is.
#[derive(Clone, Debug)]
enum Subject {
    Key(PoolKey),
    /// In this field of each request.
    Header(HeaderName),
}

impl Subjects {
    /// Knows no client yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The requests of this client carry the token of this key.
    pub fn client(mut self, client: impl Into<String>, key: PoolKey) -> Self {
        self.clients.insert(client.into(), Subject::Key(key));
        self
    }

    /// This client is trusted to name the subject of each of its requests in this header field.
    ///
    /// It can use the token of every subject that the pool has or gets. So it must be a program that has authenticated its own
    /// users, such as a gateway. The field of other clients does not count. It is removed from all requests on the route.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the field has a meaning of its own, such as `Authorization`.
    pub fn trusted_client(
        mut self,
        client: impl Into<String>,
        header: HeaderName,
    ) -> Result<Self, Error> {
        if HAVE_A_MEANING.contains(&header) {
            return Err(Error::input(format!(
                "the header `{header}` cannot name the subject of a request, because it has a meaning of its own; use another one, \
                 such as `X-Subject`"
            )));
        }
        self.clients.insert(client.into(), Subject::Header(header));
        Ok(self)
    }

    /// The key of the token for a request of this client.
    pub(super) fn key(
        &self,
        client: Option<&str>,
        headers: &mut HeaderMap,
    ) -> Result<PoolKey, Refusal> {
        let client = client.ok_or(Refusal::NoSecret)?;
        let key = match self.clients.get(client) {
            Some(Subject::Key(key)) => Ok(key.clone()),
            Some(Subject::Header(name)) => named(name, headers),
            None => Err(Refusal::Client),
        };
        for subject in self.clients.values() {
            if let Subject::Header(name) = subject {
                headers.remove(name);
            }
        }
        key
    }
}

/// The key of the subject in this field.
fn named(name: &HeaderName, headers: &HeaderMap) -> Result<PoolKey, Refusal> {
    if !headers.contains_key(name) {
        return Err(Refusal::Subject);
    }
    // No byte is left out or replaced: another text would be another subject.
    let subject = std::str::from_utf8(single(headers, name)?.as_bytes());
    let subject = subject.map_err(|_| Refusal::Subject)?;
    PoolKey::new(subject).map_err(|_| Refusal::Subject)
}

const HAVE_A_MEANING: [HeaderName; 8] = [
    AUTHORIZATION,
    CLIENT_SECRET,
    CONNECTION,
    CONTENT_LENGTH,
    COOKIE,
    HOST,
    PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
];

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn subjects() -> Subjects {
        let subjects = Subjects::new()
            .client("reports", PoolKey::new("anna").unwrap())
            .client("billing", PoolKey::new("bert").unwrap());
        let header = HeaderName::from_static("x-user");
        subjects.trusted_client("gateway", header).unwrap()
    }

    /// The subject, and the header fields that are sent on.
    fn key(client: Option<&str>, values: &[&[u8]]) -> (Result<String, Refusal>, HeaderMap) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-user", HeaderValue::from_bytes(value).unwrap());
        }
        let key = subjects().key(client, &mut headers);
        (key.map(|key| key.subject().to_owned()), headers)
    }

    #[test]
    fn t10_a_client_has_its_own_subject_whatever_its_header_says() {
        for values in [&[][..], &[b"bert".as_slice()], &[b"a", b"b"]] {
            let (subject, left) = key(Some("reports"), values);
            assert_eq!(subject.as_deref(), Ok("anna"));
            assert!(left.is_empty(), "{left:?}");
        }
        assert_eq!(key(Some("billing"), &[b"anna"]).0.as_deref(), Ok("bert"));
        assert_eq!(key(Some("other"), &[b"anna"]).0, Err(Refusal::Client));
        assert_eq!(key(None, &[b"anna"]).0, Err(Refusal::NoSecret));
    }

    #[test]
    fn t10_a_trusted_client_names_one_subject_that_is_not_empty() {
        let (subject, left) = key(Some("gateway"), &["zoë".as_bytes()]);
        assert_eq!((subject.as_deref(), left.len()), (Ok("zoë"), 0));
        let long = vec![b'a'; PoolKey::MAX_LENGTH + 1];
        for (values, refusal) in [
            (&[][..], Refusal::Subject),
            (&[b"".as_slice()], Refusal::Subject),
            (&[b"  "], Refusal::Subject),
            (&[b"an\tna"], Refusal::Subject),
            (&[b"an\xffna"], Refusal::Subject),
            (&[&long], Refusal::Subject),
            (&[b"anna", b"bert"], Refusal::Twice),
        ] {
            assert_eq!(key(Some("gateway"), values).0, Err(refusal), "{values:?}");
        }
    }

    #[test]
    fn a_field_with_a_meaning_of_its_own_names_no_subject() {
        for name in HAVE_A_MEANING {
            let error = Subjects::new().trusted_client("gateway", name.clone());
            assert!(error.unwrap_err().to_string().contains(name.as_str()));
        }
    }
}
