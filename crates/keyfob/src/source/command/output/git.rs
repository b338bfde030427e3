//! The `name=value` lines of `git credential` (see git-credential(1)).

use zeroize::Zeroizing;

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
        (Some(scheme), Some(credential), _) => {
            let mut whole =
                Zeroizing::new(String::with_capacity(scheme.len() + 1 + credential.len()));
            whole.push_str(scheme);
            whole.push(' ');
            whole.push_str(credential);
            Token::from_authorization(std::mem::take(&mut *whole))?
        }
        (_, _, Some(password)) => Token::new(password)?,
        _ => return Err(no_credential()),
    };
    match value(text, "password_expiry_utc") {
        Some(seconds) => Ok(token.expires_at(unix_time_in(seconds, "password_expiry_utc")?)),
        None => Ok(token),
    }
}

/// The last value of that name that is not empty: in git-credential(1), the last one wins.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let values = lines(text).filter_map(|line| line.split_once('='));
    values
        .filter(|(other, value)| *other == name && !value.is_empty())
        .last()
        .map(|(_, value)| value)
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
