//! The key that the tokens of a profile are bound to (DPoP, RFC 9449).

use std::sync::Arc;

use futures_util::future::OptionFuture;
use tokio::sync::OnceCell;

use crate::error::error::Error;
use crate::oauth::dpop::DpopProver;
use crate::oauth::signing_key::SigningKey;
use crate::profile::secret_ref::SecretRef;

/// The reference to a DPoP key, and the prover that is made of it when it is first needed.
///
/// The token endpoint and the API see the same prover, because a token is bound to its key. So do all keys of a pool: the key
/// belongs to the client and not to its users (RFC 9449 §1), and a nonce that one request was given is known to the others.
#[derive(Clone, Debug)]
pub(super) struct DpopKey {
    pub(super) secret: SecretRef,
    pub(super) passphrase: Option<SecretRef>,
    prover: Arc<OnceCell<DpopProver>>,
}

impl DpopKey {
    pub(super) fn new(secret: SecretRef, passphrase: Option<SecretRef>) -> Self {
        Self {
            secret,
            passphrase,
            prover: Arc::default(),
        }
    }

    pub(super) async fn prover(&self) -> Result<DpopProver, Error> {
        let prover = self.prover.get_or_try_init(|| async {
            let text = self.secret.read_now().await?;
            let passphrase = self.passphrase.as_ref().map(SecretRef::read_now);
            let passphrase = OptionFuture::from(passphrase).await.transpose()?;
            let passphrase = passphrase.as_ref().map(|text| text.as_str());
            let key = parse_key(&text, passphrase, None)
                .map_err(|error| error.of(format_args!("the DPoP key in {}", self.secret)))?;
            Ok(DpopProver::new(key))
        });
        prover.await.cloned()
    }
}

/// A private key, in PEM, as a JWK, or in a set of JWKs.
pub(super) fn parse_key(
    text: &str,
    passphrase: Option<&str>,
    key_id: Option<&str>,
) -> Result<SigningKey, Error> {
    // A JWK is a JSON object (RFC 7517 §4), and no PEM begins like one.
    match (text.starts_with('{'), passphrase, key_id) {
        (true, _, Some(key_id)) => SigningKey::from_jwk_set(text, key_id),
        (true, _, None) => SigningKey::from_jwk(text),
        (false, Some(passphrase), _) => SigningKey::from_encrypted_pem(text, passphrase),
        (false, None, _) => SigningKey::from_pem(text),
    }
}
