//! The proof that a profile's tokens are bound to (DPoP, RFC 9449).

use futures_util::lock::Mutex;

use crate::error::error::Error;
use crate::oauth::dpop::DpopProver;
use crate::profile::client::signing_key;
use crate::profile::schema::Grant;

/// The prover of a profile: made when it is first needed, and then the same for the token endpoint and the API.
#[derive(Default)]
pub(super) struct Proof(Mutex<Option<DpopProver>>);

impl Proof {
    /// The prover, if the grant names a key for it.
    pub(super) async fn prover(&self, grant: &Grant) -> Result<Option<DpopProver>, Error> {
        let Some(reference) = &grant.dpop_key else {
            return Ok(None);
        };
        let mut made = self.0.lock().await;
        if let Some(prover) = &*made {
            return Ok(Some(prover.clone()));
        }
        let prover = DpopProver::new(signing_key(&reference.read_now().await?)?);
        Ok(Some(made.insert(prover).clone()))
    }
}
