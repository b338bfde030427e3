//! A JWT that is signed here, as a Python source; and private keys.

use keyfob::oauth::{Algorithm, SigningKey};
use keyfob::{Error, SignedJwt};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::convert::seconds;
use crate::source::http_token::json;
use crate::source::source::Source;

/// Signs a JWT with these claims, which are a JSON object.
#[pyfunction]
pub(crate) fn signed_jwt_source(
    key: PrivateKey,
    claims: &str,
    times: JwtTimes,
) -> PyResult<Source> {
    let mut jwt = SignedJwt::new(key.signing_key()?);
    if let serde_json::Value::Object(claims) = json("claims", claims)? {
        for (name, value) in claims {
            jwt = jwt.claim(name, value);
        }
    }
    if let Some(lifetime) = times.lifetime {
        jwt = jwt.lifetime(seconds("lifetime", lifetime)?);
    }
    if let Some(backdate) = times.backdate {
        jwt = jwt.backdate(seconds("backdate", backdate)?);
    }
    if times.not_before {
        jwt = jwt.not_before();
    }
    if times.unique_id {
        jwt = jwt.unique_id();
    }
    Source::new("signed_jwt", jwt, None)
}

/// When a JWT is valid, and whether it is unique.
#[derive(FromPyObject)]
pub(crate) struct JwtTimes {
    lifetime: Option<f64>,
    backdate: Option<f64>,
    not_before: bool,
    unique_id: bool,
}

/// A private key, as PEM or a JWK.
#[derive(FromPyObject)]
pub(crate) struct PrivateKey {
    text: String,
    passphrase: Option<String>,
    key_id: Option<String>,
    algorithm: Option<String>,
}

impl PrivateKey {
    pub(crate) fn signing_key(&self) -> PyResult<SigningKey> {
        let wrong = |error: Error| PyValueError::new_err(format!("`private_key`: {error}"));
        let mut key = match (&self.passphrase, self.text.trim_start().starts_with('{')) {
            (_, true) => SigningKey::from_jwk(&self.text),
            (Some(passphrase), false) => SigningKey::from_encrypted_pem(&self.text, passphrase),
            (None, false) => SigningKey::from_pem(&self.text),
        }
        .map_err(wrong)?;
        if let Some(id) = &self.key_id {
            key = key.key_id(id);
        }
        match &self.algorithm {
            Some(name) => key.algorithm(algorithm(name)?).map_err(wrong),
            None => Ok(key),
        }
    }
}

fn algorithm(name: &str) -> PyResult<Algorithm> {
    let mut algorithms = Algorithm::ALL.iter().copied();
    let found = algorithms.find(|algorithm| algorithm.name() == name);
    found.ok_or_else(|| {
        let names: Vec<_> = Algorithm::ALL.iter().map(|known| known.name()).collect();
        let names = names.join(", ");
        PyValueError::new_err(format!("`algorithm` is none of {names}"))
    })
}
