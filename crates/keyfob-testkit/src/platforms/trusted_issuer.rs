//! Another issuer whose JWTs a platform accepts as the credential of a client (workload identity federation).

use std::fmt;
use std::sync::Mutex;

use crate::lock::lock;
use crate::platforms::clock::FakeClock;
use crate::platforms::jwt::{JwtFault, JwtRules, ReadJwt};
use crate::platforms::key::PlatformKey;

/// Which JWTs of other issuers are accepted, each with its issuer, subject and key.
#[derive(Debug, Default)]
pub(crate) struct TrustedIssuers(Mutex<Vec<TrustedIssuer>>);

#[derive(Debug)]
struct TrustedIssuer {
    key: PlatformKey,
    issuer: String,
    subject: String,
}

/// Why a JWT is not accepted.
pub(crate) enum Distrust {
    Issuer,
    Subject,
    Fault(JwtFault),
}

impl TrustedIssuers {
    pub(crate) fn add(&self, issuer: &str, subject: &str, key: &PlatformKey) {
        lock(&self.0).push(TrustedIssuer {
            key: key.clone(),
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        });
    }

    /// Whether this issuer is known, so that the JWT is not the client's own.
    pub(crate) fn knows(&self, issuer: &str) -> bool {
        lock(&self.0).iter().any(|trusted| trusted.issuer == issuer)
    }

    /// Checks the issuer and the subject, and the JWT against these rules.
    pub(crate) fn check(
        &self,
        jwt: &ReadJwt<'_>,
        rules: &JwtRules,
        clock: &FakeClock,
    ) -> Result<(), Distrust> {
        let known = lock(&self.0);
        let (issuer, subject) = (jwt.text("iss"), jwt.text("sub"));
        let mut of_issuer = known
            .iter()
            .filter(|trusted| Some(trusted.issuer.as_str()) == issuer)
            .peekable();
        of_issuer.peek().ok_or(Distrust::Issuer)?;
        let trusted = of_issuer.find(|trusted| Some(trusted.subject.as_str()) == subject);
        let trusted = trusted.ok_or(Distrust::Subject)?;
        rules
            .check(jwt, &trusted.key, clock)
            .map_err(Distrust::Fault)
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer => f.write_str("the issuer of the JWT is unknown"),
            Self::Subject => f.write_str("the subject of the JWT is unknown"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}
