//! The `name=value` lines of `git credential` (see git-credential(1)).

use crate::error::error::Error;
use crate::source::command::output::formats::{no_credential, unix_time_in};
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
        (_, _, Some(password)) => Token::new(password)?,
        _ => return Err(no_credential()),
    };
    match value(text, "password_expiry_utc") {
        Some(seconds) => Ok(token.expiry(unix_time_in(seconds, "password_expiry_utc")?)),
        None => Ok(token),
    }
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
