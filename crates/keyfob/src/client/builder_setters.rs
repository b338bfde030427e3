//! How every builder names the origins of its credential, written once so that they cannot drift apart.

/// The setters of a builder that has a [`OriginsBuilder`](crate::origin::builder::OriginsBuilder) named `binding`.
macro_rules! origin_setters {
    () => {
        /// Binds the credential to one more origin, such as `https://uploads.example.com`.
        pub fn origin(mut self, origin: impl AsRef<str>) -> Self {
            self.binding.bind(origin.as_ref().parse());
            self
        }

        /// Allows plain `http` to one origin that is not this machine, and binds the credential to it.
        ///
        /// Everyone on the way can read and use the token then.
        pub fn allow_plain_http(mut self, origin: impl AsRef<str>) -> Self {
            self.binding.allow_plain_http(origin.as_ref().parse());
            self
        }
    };
}

pub(crate) use origin_setters;
