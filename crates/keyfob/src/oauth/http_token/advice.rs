//! What a person can do about the errors of a platform.

use http::StatusCode;

use crate::oauth::error_response::ErrorCode;

/// What a person can do about the errors of a platform, for the texts of errors.
#[derive(Debug)]
pub(crate) struct Advice {
    /// If there is no response. It is empty if that has no reason of its own.
    pub(crate) unreachable: &'static str,
    /// If the platform refuses: a code or a status, and what to do. The first that fits counts.
    pub(crate) refused: &'static [(&'static str, &'static str)],
}

impl Advice {
    pub(crate) fn for_refusal(
        &self,
        code: Option<&ErrorCode>,
        status: StatusCode,
    ) -> Option<&'static str> {
        let code = code.map(ToString::to_string).unwrap_or_default();
        let words: Vec<_> = code.split([' ', '`']).collect();
        let fits = |name: &str| words.contains(&name) || name == status.as_str();
        let found = self.refused.iter().find(|(name, _)| fits(name));
        found.map(|(_, advice)| *advice)
    }
}
