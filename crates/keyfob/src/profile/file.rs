//! Finds the profile file and reads its text.

use std::env;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use zeroize::Zeroizing;

use crate::error::error::{Error, ErrorKind};
use crate::token::secret_file::{FileUse, SecretFile};

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
    SecretFile::new(path, FileUse::Settings)
        .read()
        .map_err(|fault| fault.into_error(ErrorKind::Input, "the profile file"))
}

pub(super) const FILE: &str = "keyfob.toml";
