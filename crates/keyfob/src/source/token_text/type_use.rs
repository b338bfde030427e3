//! How the type of a token (`token_type`) is used.

/// What the type of a token (`token_type`, RFC 6749 §5.1) means for how the token is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypeUse {
    /// It is the scheme in `Authorization`, if it is one of those that servers name by it.
    UsualScheme,
    /// It is the scheme, whatever it is.
    AnyScheme,
    /// Nothing. Another setting says how the token is sent, or only its text is used.
    Ignored,
}
