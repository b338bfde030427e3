//! Setters of a builder that are called only for the values that a file has.

/// Calls a setter for each value: of an `Option` if there is one, and of a list once for each.
///
/// So the settings of a profile are one expression, in which a key that the file leaves out keeps the builder's default.
pub(super) trait SetEach: Sized {
    fn set_each<V>(
        self,
        values: impl IntoIterator<Item = V>,
        set: impl FnMut(Self, V) -> Self,
    ) -> Self {
        values.into_iter().fold(self, set)
    }
}

impl<B> SetEach for B {}
