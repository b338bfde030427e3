//! The lines of `git credential`, as gitcredentials(7) and git-credential(1) define them.

use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::source::command::output::formats::unix_time_in;
use crate::source::command::output::messages::none;
use crate::token::token::Token;

/// Whether each line is `name=value`, and git knows one of the names.
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
        _ => return Err(none()),
    };
    match value(text, "password_expiry_utc") {
        Some(seconds) => Ok(token.expires_at(unix_time_in(seconds, "password_expiry_utc")?)),
        None => Ok(token),
    }
}

/// The value of the last line of that name that is not empty: git-credential(1) lets the last one win.
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
