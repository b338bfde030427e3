//! Finds the profile file and reads its text.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::{env, io};

use etcetera::BaseStrategy;
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::source::file::{every_user_may, problem, read_text};

/// The file that `KEYFOB_CONFIG` names.
pub(super) fn file_of_environment() -> Option<PathBuf> {
    // "If $XDG_CONFIG_HOME is either not set or empty, a default […] should be used" (XDG): an empty variable is none.
    let path = env::var_os("KEYFOB_CONFIG").filter(|path| !path.is_empty());
    path.map(PathBuf::from)
}

/// The file in the configuration directory; `None` if there is no such directory.
pub(super) fn default_file() -> Option<PathBuf> {
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.config_dir().join("keyfob").join(FILE))
}

/// The text of the file. It is overwritten when dropped, because the file may hold a secret by mistake.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, Error> {
    let unusable =
        |problem: &str| Error::input(format!("the profile file {} {problem}", path.display()));
    let unreadable = |error: io::Error| unusable(problem(&error)).caused_by(error);
    let file = File::open(path).map_err(unreadable)?;
    // The open file is checked, and not its path, which could name another file a moment later.
    if every_user_may(WRITE, &file).map_err(unreadable)? {
        return Err(unusable(
            "can be written by every user of this machine, and a profile can run commands; \
             remove that permission with `chmod o-w`",
        ));
    }
    read_text(file).map_err(unreadable)
}

pub(super) const FILE: &str = "keyfob.toml";

const WRITE: u32 = 0o002;
