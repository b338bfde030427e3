//! The numbers of users that the settings name.

use std::fs;

use crate::output::error::CliError;

/// The number of a user. A name is looked up in /etc/passwd; a user from another directory is given by its number.
pub(super) fn uid(user: &str) -> Result<u32, CliError> {
    if let Ok(uid) = user.parse() {
        return Ok(uid);
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(user);
        is_it.then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    found.ok_or_else(|| {
        CliError::usage(format!(
            "there is no user {user} in /etc/passwd; give the user's number, as `id -u` prints it"
        ))
    })
}
