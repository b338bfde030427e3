//! The source of a JWT that is signed here, made from the file's settings.

use std::fmt;

use crate::error::error::Error;
use crate::oauth::signed_jwt::SignedJwt;
use crate::oauth::signing_key::SigningKey;
use crate::profile::dpop_key::parse_key;
use crate::profile::schema::client::KeySettings;
use crate::profile::schema::signed_jwt::JwtSettings;
use crate::profile::set_each::SetEach;
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};

/// Signs the JWT of a profile with a key that is read for each of them.
pub(super) struct JwtSource(pub(super) JwtSettings);

impl JwtSource {
    async fn jwt(&self, request: &TokenRequest) -> Result<SignedJwt, Error> {
        let settings = &self.0;
        let mut key = read_key(&settings.key, request).await?;
        if let Some(id) = &settings.key_id {
            key = key.key_id(id.read(request).await?.as_str());
        }
        let fingerprint = settings.has_fingerprint.then(|| key.fingerprint());
        let mut jwt = SignedJwt::new(key)
            .lifetime(settings.lifetime)
            .backdate(settings.backdate);
        for (name, value) in &settings.claims {
            jwt = jwt.claim(name, value.clone());
        }
        for (name, secret) in &settings.secret_claims {
            jwt = jwt.claim(*name, secret.read(request).await?.as_str());
        }
        if let Some(fingerprint) = fingerprint {
            let issuer = settings
                .claims
                .get("iss")
                .and_then(|issuer| issuer.as_str());
            jwt = jwt.issuer(format!("{}.{fingerprint}", issuer.unwrap_or_default()));
        }
        if settings.has_not_before {
            jwt = jwt.not_before();
        }
        Ok(match settings.has_id {
            true => jwt.unique_id(),
            false => jwt,
        })
    }
}

/// Reads a private key, and sets the algorithm and the key id of the file. The errors name the key.
async fn read_key(settings: &KeySettings, request: &TokenRequest) -> Result<SigningKey, Error> {
    let named = |error: Error| error.of(format_args!("the private key in {}", settings.pem));
    let text = settings.pem.read(request).await?;
    let passphrase = match &settings.passphrase {
        Some(secret) => Some(secret.read(request).await?),
        None => None,
    };
    let passphrase = passphrase.as_ref().map(|text| text.as_str());
    let mut key = parse_key(&text, passphrase, settings.id.as_deref()).map_err(named)?;
    if let Some(algorithm) = settings.algorithm {
        key = key.algorithm(algorithm).map_err(named)?;
    }
    Ok(key.set_each(&settings.id, SigningKey::key_id))
}

impl TokenSource for JwtSource {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move { self.jwt(request).await?.fetch(request).await })
    }
}

impl fmt::Debug for JwtSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JwtSource").field(&self.0.key.pem).finish()
    }
}
