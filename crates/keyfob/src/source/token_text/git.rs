//! The `name=value` lines of `git credential` (see git-credential(1)).

use crate::error::error::Error;
use crate::source::token_text::expiry;
use crate::source::token_text::expiry::Value;
use crate::source::token_text::formats::{no_credential, token_of};
use crate::token::token::Token;

/// Whether each line is `name=value`, and at least one name is known to git.
pub(super) fn is_credential(text: &str) -> bool {
    let name = |line: &'_ str| line.split_once('=').map(|(name, _)| NAMES.contains(&name));
    let known: Option<Vec<bool>> = lines(text).map(name).collect();
    known.is_some_and(|known| known.contains(&true))
}

pub(super) fn read(text: &str) -> Result<Token, Error> {
    let token = match (
        value(text, "authtype"),
        value(text, "credential"),
        value(text, "password"),
    ) {
        // `concat` allocates once: a text that grows would leave a copy of the secret behind.
        (Some(scheme), Some(credential), _) => {
            Token::from_authorization([scheme, " ", credential].concat())?
        }
        (_, _, Some(password)) => token_of(password.to_owned())?,
        _ => return Err(no_credential()),
    };
    let fields = lines(text).filter_map(|line| line.split_once('='));
    let last = fields.filter(|(name, field)| value(text, name) == Some(field));
    let expiry = expiry::of_fields(last.map(|(name, field)| (name, Value::Text(field))))?;
    Ok(token.expiry(expiry))
}

/// The last value of that name that is not empty: in git-credential(1), the last one wins.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let fields = lines(text).filter_map(|line| line.split_once('='));
    let values = fields.filter(|(other, _)| *other == name);
    values
        .map(|(_, value)| value)
        .filter(|value| !value.is_empty())
        .last()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty())
}

const NAMES: [&str; 13] = [
    "authtype",
    "capability[]",
    "credential",
    "host",
    "oauth_refresh_token",
    "password",
    "password_expiry_utc",
    "path",
    "protocol",
    "quit",
    "url",
    "username",
    "wwwauth[]",
];
