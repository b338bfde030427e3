//! The same for the keys of stores.

use crate::no_dpop::DpopProver;

impl DpopProver {
    pub(crate) fn thumbprint(&self) -> String {
        match *self {}
    }
}
