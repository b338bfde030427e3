//! The source of a JWT that is signed here, made from the file's settings.

use std::fmt;

use crate::error::error::Error;
use crate::oauth::signed_jwt::SignedJwt;
use crate::oauth::signing_key::SigningKey;
use crate::profile::client::signing_key;
use crate::profile::schema::client::KeySettings;
use crate::profile::schema::signed_jwt::JwtSettings;
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

async fn read_key(settings: &KeySettings, request: &TokenRequest) -> Result<SigningKey, Error> {
    let text = settings.pem.read(request).await?;
    let passphrase = match &settings.passphrase {
        Some(secret) => Some(secret.read(request).await?),
        None => None,
    };
    signing_key(settings, &text, passphrase.as_ref())
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
