//! Files and directories that belong to the user alone (S2).

use std::fs::Metadata;
use std::io;
use std::path::Path;

pub(super) use system::{is_at, options, remove_lock, sync};

use crate::token::secret_file::{FileUse, Protection, protection};

/// Why other users could read or change the file or directory, if they could.
pub(super) fn objection(found: &Metadata) -> Option<&'static str> {
    match protection(found, FileUse::Store) {
        Protection::Good => None,
        Protection::Poor(why) | Protection::Refused(why) => Some(why),
    }
}

/// Creates a directory and its parents, accessible to the user only.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    system::directory_options().recursive(true).create(path)
}

#[cfg(unix)]
mod system {
    use std::fs::{self, DirBuilder, File, OpenOptions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
    use std::path::Path;

    use rustix::fs::OFlags;

    /// Options that open no symbolic link, and create files for the user only.
    pub(in crate::store::file) fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        // Without `NOFOLLOW`, a link could lead reads and writes to a file of the user's elsewhere.
        // Without `NONBLOCK`, a named pipe in place of the file would block the thread.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits() as i32);
        options
    }

    /// Options that create directories for the user only.
    pub(super) fn directory_options() -> DirBuilder {
        let mut options = DirBuilder::new();
        options.mode(0o700);
        options
    }

    /// Whether this file is still the one at this path: another process may have removed it.
    pub(in crate::store::file) fn is_at(file: &File, path: &Path) -> bool {
        let there = fs::symlink_metadata(path);
        let this = file.metadata();
        matches!((there, this), (Ok(there), Ok(this)) if (there.dev(), there.ino()) == (this.dev(), this.ino()))
    }

    /// Removes a lock file. The caller has locked it.
    pub(in crate::store::file) fn remove_lock(path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    /// Makes renames and removals in a directory survive a crash.
    pub(in crate::store::file) fn sync(directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

/// Other systems: the permissions of the user's directory protect the files, a directory cannot be synced, and lock files stay.
#[cfg(not(unix))]
mod system {
    use std::fs::{DirBuilder, File, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(in crate::store::file) fn options() -> OpenOptions {
        OpenOptions::new()
    }

    pub(super) fn directory_options() -> DirBuilder {
        DirBuilder::new()
    }

    pub(in crate::store::file) fn is_at(_: &File, _: &Path) -> bool {
        true
    }

    pub(in crate::store::file) fn remove_lock(_: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(in crate::store::file) fn sync(_: &Path) -> io::Result<()> {
        Ok(())
    }
}
