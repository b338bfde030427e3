//! How every builder is told to prove possession, written once so that they cannot drift apart.

/// The setter of a builder that has an `Option<DpopProver>` named `prover`.
macro_rules! dpop_setter {
    () => {
        /// Proves with each attempt that the key of its token is here (DPoP, RFC 9449).
        ///
        /// The tokens must have the scheme `DPoP`; with any other nothing is sent. Those who share the prover share the key
        /// and what servers want to find in proofs.
        #[must_use = "it is the one that proves"]
        pub fn dpop(mut self, prover: DpopProver) -> Self {
            self.prover = Some(prover);
            self
        }
    };
}

pub(crate) use dpop_setter;
