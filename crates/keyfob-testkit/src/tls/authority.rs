//! A certificate authority for tests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A certificate authority that issues certificates for tests.
///
/// ```
/// use keyfob_testkit::{Leaf, TestAuthority};
///
/// let authority = TestAuthority::new();
/// let pair = authority.issue(Leaf::default());
/// assert!(pair.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
/// ```
pub struct TestAuthority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its private key, both in PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The names of the server or the client, also addresses.
    pub names: Vec<String>,
    /// When it begins to be valid.
    pub not_before: SystemTime,
    /// When it ends to be valid.
    pub not_after: SystemTime,
}

impl Default for Leaf {
    /// A certificate for `127.0.0.1`, valid now.
    fn default() -> Self {
        let now = SystemTime::now();
        Self {
            names: vec!["127.0.0.1".to_owned()],
            not_before: now - DAY,
            not_after: now + DAY,
        }
    }
}

impl Leaf {
    /// A certificate whose validity began some days after now, and ends as many days after that; negative for the past.
    #[must_use]
    pub fn valid(days: [i32; 2]) -> Self {
        let now = SystemTime::now();
        let at = |days: i32| match days.is_negative() {
            true => now - DAY * days.unsigned_abs(),
            false => now + DAY * days.unsigned_abs(),
        };
        Self {
            not_before: at(days[0]),
            not_after: at(days[1]),
            ..Self::default()
        }
    }

    /// The same certificate for this name only.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.names = vec![name.to_owned()];
        self
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::new(self.names.clone()).expect("names of hosts");
        params.not_before = self.not_before.into();
        params.not_after = self.not_after.into();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params
    }
}

impl Default for TestAuthority {
    fn default() -> Self {
        Self::new()
    }
}

impl TestAuthority {
    /// Makes an authority with a new key.
    ///
    /// # Panics
    ///
    /// If the machine gives no random numbers.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a new key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // Two authorities of one name would be taken for one that has a new key.
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("test authority {number}");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// The certificate of the authority, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate with a new key.
    ///
    /// # Panics
    ///
    /// If a name is no name of a host.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a value that is made for it")]
    pub fn issue(&self, leaf: Leaf) -> Pair {
        let key = KeyPair::generate().expect("a new key");
        let certificate = leaf.params().signed_by(&key, &self.issuer);
        Pair {
            certificate: certificate.expect("a certificate").pem(),
            key: key.serialize_pem(),
        }
    }

    /// A certificate that is signed with its own key, as servers are often set up with.
    ///
    /// # Panics
    ///
    /// As [`issue`](Self::issue).
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a value that is made for it")]
    pub fn self_signed(leaf: Leaf) -> Pair {
        let key = KeyPair::generate().expect("a new key");
        let certificate = leaf.params().self_signed(&key);
        Pair {
            certificate: certificate.expect("a certificate").pem(),
            key: key.serialize_pem(),
        }
    }
}

/// How many authorities were made.
static MADE: AtomicUsize = AtomicUsize::new(0);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
