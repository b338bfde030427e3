//! Where programs keep the state of a user.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::error::Error;

pub(super) fn default_directory() -> Result<PathBuf, Error> {
    let name = |name: &str| env::var_os(name);
    from_environment(name).ok_or_else(|| {
        Error::input(
            "there is no directory for the token store; set XDG_STATE_HOME or HOME, or name a directory",
        )
    })
}

/// XDG Base Directory Specification: a path that is not absolute is invalid and to be ignored.
fn from_environment(value: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(value(name)?);
        path.is_absolute().then_some(path)
    };
    if env::consts::FAMILY == "windows" {
        return absolute("LOCALAPPDATA").map(|state| state.join(NAME));
    }
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    state.map(|state| state.join(NAME))
}

const NAME: &str = "keyfob";

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<PathBuf> {
        from_environment(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_state_directory_of_the_user_is_used() {
        let home = ("HOME", "/home/a");
        assert_eq!(of(&[home]), Some("/home/a/.local/state/keyfob".into()));
        let state = ("XDG_STATE_HOME", "/state");
        assert_eq!(of(&[home, state]), Some("/state/keyfob".into()));
        assert_eq!(
            of(&[home, ("XDG_STATE_HOME", "relative")]),
            of(&[home]),
            "a relative path is ignored"
        );
        assert_eq!(of(&[]), None);
    }
}
