//! The same for the keys of stores.

use crate::exchange::no_dpop::DpopProver;

impl DpopProver {
    pub(crate) fn thumbprint(&self) -> String {
        match *self {}
    }
}
