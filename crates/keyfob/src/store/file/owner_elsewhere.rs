//! Where files have no owner that could be checked here: the rights of the user's own directory are what protects.

use std::fs::{Metadata, OpenOptions};
use std::path::Path;
use std::{fs, io};

pub(super) fn objection(_: &Metadata) -> Option<&'static str> {
    None
}

pub(super) fn options() -> OpenOptions {
    OpenOptions::new()
}

pub(super) fn make(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

/// A directory cannot be synced by itself here.
pub(super) fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}
