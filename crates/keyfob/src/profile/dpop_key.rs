//! The key that the tokens of a profile are bound to (DPoP, RFC 9449).

use tokio::sync::OnceCell;

use crate::error::error::Error;
use crate::oauth::dpop::DpopProver;
use crate::oauth::signing_key::SigningKey;
use crate::profile::secret_ref::SecretRef;

/// The reference to a DPoP key, and the prover that is made of it when it is first needed.
///
/// The token endpoint and the API see the same prover, because a token is bound to its key.
#[derive(Clone, Debug)]
pub(super) struct DpopKey {
    pub(super) secret: SecretRef,
    prover: OnceCell<DpopProver>,
}

impl DpopKey {
    pub(super) fn new(secret: SecretRef) -> Self {
        Self {
            secret,
            prover: OnceCell::new(),
        }
    }

    pub(super) async fn prover(&self) -> Result<DpopProver, Error> {
        let prover = self.prover.get_or_try_init(|| async {
            let text = self.secret.read_now().await?;
            Ok(DpopProver::new(parse_key(&text)?))
        });
        prover.await.cloned()
    }
}

/// A private key, in PEM or as a JWK.
pub(super) fn parse_key(text: &str) -> Result<SigningKey, Error> {
    // A JWK is a JSON object (RFC 7517 §4), and no PEM begins like one.
    match text.starts_with('{') {
        true => SigningKey::from_jwk(text.as_bytes()),
        false => SigningKey::from_pem(text.as_bytes()),
    }
}
