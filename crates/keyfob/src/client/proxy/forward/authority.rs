//! The certificate authority of one run, which vouches for the servers that the proxy opens connections to.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints,
    PKCS_ECDSA_P256_SHA256, SanType, SerialNumber, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use url::Host;

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::runtime::lock::{Mutex, lock};

/// A certificate authority whose keys are in memory only, and which can vouch for the bound hosts only.
///
/// A program that keeps trusting it after the run trusts a key that no longer exists. While the run lasts, its name constraints
/// (RFC 5280 §4.2.1.10) keep it from other hosts, should the key leak.
pub(super) struct RunAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// One key for the certificates of all hosts.
    key: KeyPair,
    signing_key: Arc<dyn SigningKey>,
    certificates: Mutex<HashMap<Host<String>, Dated>>,
}

struct Dated {
    certificate: Arc<CertifiedKey>,
    made: SystemTime,
}

impl RunAuthority {
    /// Makes an authority for these hosts.
    pub(super) fn new<'h>(hosts: impl Iterator<Item = &'h Host<String>>) -> Result<Self, Error> {
        let mut parameters = parameters(AUTHORITY, AUTHORITY_LIFETIME);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters.name_constraints = Some(NameConstraints {
            permitted_subtrees: permitted(hosts),
            excluded_subtrees: Vec::new(),
        });
        let new_key = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(not_made);
        let issuer = CertifiedIssuer::self_signed(parameters, new_key()?).map_err(not_made)?;
        let key = new_key()?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing_key = aws_lc_rs::sign::any_ecdsa_type(&der)
            .map_err(|cause| Error::input(NOT_MADE).caused_by(cause))?;
        Ok(Self {
            issuer,
            key,
            signing_key,
            certificates: Mutex::new(HashMap::new()),
        })
    }

    /// The certificate of the authority, in PEM.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a host. It is made at the first call, and anew before it expires.
    pub(super) fn certificate(&self, host: &Host<String>) -> Result<Arc<CertifiedKey>, Error> {
        let present = now();
        let mut certificates = lock(&self.certificates);
        if let Some(dated) = certificates.get(host)
            && present
                .duration_since(dated.made)
                .is_ok_and(|age| age < CERTIFICATE_LIFETIME / 2)
        {
            return Ok(Arc::clone(&dated.certificate));
        }
        let certificate = Arc::new(self.sign(host)?);
        let dated = Dated {
            certificate: Arc::clone(&certificate),
            made: present,
        };
        certificates.insert(host.clone(), dated);
        Ok(certificate)
    }

    fn sign(&self, host: &Host<String>) -> Result<CertifiedKey, Error> {
        let mut parameters = parameters(SERVER, CERTIFICATE_LIFETIME);
        parameters.subject_alt_names = vec![match host {
            Host::Domain(name) => SanType::DnsName(name.clone().try_into().map_err(not_made)?),
            Host::Ipv4(address) => SanType::IpAddress((*address).into()),
            Host::Ipv6(address) => SanType::IpAddress((*address).into()),
        }];
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.use_authority_key_identifier_extension = true;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Without it, all certificates of one key would have the same number, which some libraries refuse.
        parameters.serial_number = Some(serial_number()?);
        let certificate = parameters
            .signed_by(&self.key, &self.issuer)
            .map_err(not_made)?;
        let chain = vec![certificate.der().clone()];
        Ok(CertifiedKey::new(chain, Arc::clone(&self.signing_key)))
    }
}

fn parameters(name: &str, lifetime: Duration) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    // No common name: GnuTLS takes one for a host, which the constraints do not permit. And two different names, or the
    // certificate would seem to have signed itself.
    parameters.distinguished_name = DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::OrganizationName, name);
    let since = now().duration_since(SystemTime::UNIX_EPOCH);
    let present = date_time_ymd(1970, 1, 1) + since.unwrap_or_default();
    parameters.not_before = present - CLOCK_SKEW;
    parameters.not_after = present + lifetime;
    parameters
}

/// Constraints that permit these hosts. A kind of name without an entry would not be constrained, so each has one.
fn permitted<'h>(hosts: impl Iterator<Item = &'h Host<String>>) -> Vec<GeneralSubtree> {
    let nowhere: [GeneralSubtree; 2] = [
        GeneralSubtree::DnsName("keyfob.invalid".to_owned()),
        // An address for documentation (RFC 5737).
        GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([192, 0, 2, 255], 32)),
    ];
    let address = |address: IpAddr, length| {
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, length))
    };
    let hosts = hosts.map(|host| match host {
        Host::Domain(name) => GeneralSubtree::DnsName(name.clone()),
        Host::Ipv4(own) => address((*own).into(), 32),
        Host::Ipv6(own) => address((*own).into(), 128),
    });
    nowhere.into_iter().chain(hosts).collect()
}

/// The time on the wall clock, by which programs judge certificates.
fn now() -> SystemTime {
    SystemClock.coarse_time().wall_time()
}

fn serial_number() -> Result<SerialNumber, Error> {
    let mut bytes = [0; 16];
    let random = aws_lc_rs::default_provider().secure_random;
    random
        .fill(&mut bytes)
        .map_err(|_| Error::unavailable("the system gives no random bytes"))?;
    // A positive number (RFC 5280 §4.1.2.2) of this length.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn not_made(cause: rcgen::Error) -> Error {
    Error::input(NOT_MADE).caused_by(cause)
}

/// The names in the certificates.
const AUTHORITY: &str = "keyfob, the authority of one run";
const SERVER: &str = "keyfob, in front of a server";

const NOT_MADE: &str = "the certificate of the proxy cannot be made";

/// The key ends with the run, whose length is not known.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

    use super::*;

    #[test]
    fn p8_the_authority_vouches_for_the_bound_hosts_and_no_other() {
        let host = |text: &str| Host::parse(text).unwrap();
        let bound = [host("api.example.com"), host("127.0.0.1"), host("[::1]")];
        let authority = RunAuthority::new(bound.iter()).unwrap();
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
        roots.add(root).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build().unwrap();
        let is_trusted = |text: &str| {
            let certified = authority.certificate(&host(text)).unwrap();
            let name = text
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            let name = ServerName::try_from(name).unwrap();
            let end = certified.end_entity_cert().unwrap();
            let checked = verifier.verify_server_cert(end, &[], &name, &[], UnixTime::now());
            checked.is_ok()
        };
        for text in ["api.example.com", "127.0.0.1", "[::1]"] {
            assert!(is_trusted(text), "{text}");
        }
        for text in [
            "example.com",
            "evil.example",
            "127.0.0.2",
            "[::2]",
            "10.0.0.1",
        ] {
            assert!(!is_trusted(text), "{text}");
        }
    }
}
