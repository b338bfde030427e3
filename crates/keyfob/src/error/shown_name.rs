//! Names that a person gave, as an error may show them.

use crate::error::printable::printable;

/// A name that a person gave, as an error may show it: a variable, a file, a profile.
///
/// A secret is easily pasted where its name belongs. So a text that looks like one is replaced by words.
///
/// ```
/// use keyfob::error::shown_name;
///
/// assert_eq!(shown_name("API_TOKEN"), "API_TOKEN");
/// assert_eq!(shown_name("sk-live-51H8xYt"), "(not shown, because it looks like a secret)");
/// ```
#[must_use]
pub fn shown_name(text: &str) -> String {
    match looks_like_secret(text) {
        true => "(not shown, because it looks like a secret)".to_owned(),
        false => printable(text),
    }
}

/// Whether a text of at most so many bytes is a word, such as the name of a field or a code, and so no secret.
pub(crate) fn is_word(text: &str, longest: usize) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || b"_-".contains(&byte);
    (1..=longest).contains(&text.len()) && text.bytes().all(is_letter)
}

/// Whether a text has the form of a token, key or password rather than that of a name.
fn looks_like_secret(text: &str) -> bool {
    let is_known = |prefix: &&str| {
        let head = text.get(..prefix.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    // Names are made of words. Random text has letters and digits mixed without a break.
    let is_random = |piece: &str| {
        piece.len() >= RANDOM_LENGTH
            && piece.bytes().any(|byte| byte.is_ascii_digit())
            && piece.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    PREFIXES.iter().any(is_known)
        || text
            .split(|char: char| !(char.is_ascii_alphanumeric() || "+=".contains(char)))
            .any(is_random)
}

/// A piece of this many letters and digits is not a word.
const RANDOM_LENGTH: usize = 16;

/// How tokens and keys of well-known issuers begin.
const PREFIXES: [&str; 26] = [
    "akia",
    "asia",
    "basic ",
    "bearer ",
    "dop_v1_",
    "eyj",
    "gho_",
    "ghp_",
    "ghr_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "hvs.",
    "-----begin",
    "npm_",
    "pk_",
    "pypi-",
    "rk_",
    "sg.",
    "shpat_",
    "sk-",
    "sk_",
    "xapp-",
    "xox",
    "ya29.",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_and_pasted_secrets_are_not() {
        for name in [
            "API_TOKEN",
            "http_proxy",
            "MY_COMPANY_API_ACCESS_TOKEN_V2",
            "github-enterprise",
            "/run/secrets/kubernetes.io/serviceaccount/token",
            "/home/anna/.config/keyfob/token.json",
            "skills",
        ] {
            assert_eq!(shown_name(name), name);
        }
        for secret in [
            "sk-live-1",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "eyJhbGciOiJub25lIn0.e30.",
            "K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
            "AKIAIOSFODNN7EXAMPLE",
            "Bearer hunter2",
            "0123456789abcdef0123456789abcdef",
        ] {
            assert!(shown_name(secret).starts_with("(not shown"), "{secret}");
        }
    }
}
