//! Finds the profile file and reads its text.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{env, io};

use etcetera::BaseStrategy;
use zeroize::Zeroizing;

use crate::error::error::Error;

/// Where the profile file is.
pub(super) enum Location {
    /// A file that the user named. It must exist.
    Named(PathBuf),
    /// The file in the configuration directory. It may be missing.
    Default(PathBuf),
    /// There is no configuration directory.
    Nowhere,
}

impl Location {
    /// The file that `KEYFOB_CONFIG` names, otherwise the one in the configuration directory.
    pub(super) fn find() -> Self {
        if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            return Self::Named(path.into());
        }
        match etcetera::choose_base_strategy() {
            Ok(strategy) => Self::Default(strategy.config_dir().join(FOLDER).join(FILE)),
            Err(_) => Self::Nowhere,
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Named(path) | Self::Default(path) => Some(path),
            Self::Nowhere => None,
        }
    }

    /// The text of the file; `None` if it is missing and may be.
    pub(super) fn read(&self) -> Result<Option<Zeroizing<String>>, Error> {
        let Some(path) = self.path() else {
            return Ok(None);
        };
        let may_be_missing = matches!(self, Self::Default(_));
        let text = match read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && may_be_missing => {
                return Ok(None);
            }
            Err(error) => {
                let problem = match error.kind() {
                    io::ErrorKind::NotFound => "does not exist",
                    io::ErrorKind::InvalidData => "is not text, or is longer than 1 MiB",
                    _ => "cannot be read",
                };
                return Err(unreadable(path, problem).caused_by(error));
            }
        };
        text.map(Some).ok_or_else(|| {
            unreadable(
                path,
                "can be written by every user of this machine, and a profile can run commands; \
                 remove that permission with `chmod o-w`",
            )
        })
    }
}

fn unreadable(path: &Path, problem: &str) -> Error {
    Error::input(format!("the profile file {} {problem}", path.display()))
}

/// The text, or `None` if every user can write the file.
///
/// It is overwritten when dropped, because the file may hold a secret by mistake.
fn read(path: &Path) -> io::Result<Option<Zeroizing<String>>> {
    let file = File::open(path)?;
    if every_user_can_write(&file)? {
        return Ok(None);
    }
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    let length = file.take(LIMIT + 1).read_to_string(&mut text)?;
    if length as u64 > LIMIT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Some(text))
}

#[cfg(unix)]
fn every_user_can_write(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;

    Ok(file.metadata()?.permissions().mode() & 0o002 != 0)
}

#[cfg(not(unix))]
fn every_user_can_write(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// The environment variable that names the file.
const VARIABLE: &str = "KEYFOB_CONFIG";

const FOLDER: &str = "keyfob";
pub(super) const FILE: &str = "keyfob.toml";

const LIMIT: u64 = 1024 * 1024;
