//! Files and directories that belong to the user alone (S2).

use std::fs::DirBuilder;
use std::io;
use std::path::Path;

pub(super) use system::{objection, options, sync};

/// Creates a directory and its parents, accessible to the user only.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
mod system {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    use std::path::Path;

    use rustix::fs::OFlags;
    use rustix::process::geteuid;

    /// Why other users could read or change the file or directory, if they could.
    pub(in crate::store::file) fn objection(found: &Metadata) -> Option<&'static str> {
        if found.uid() != geteuid().as_raw() {
            return Some("belongs to another user; give each user a store");
        }
        if found.mode() & 0o077 == 0 {
            return None;
        }
        Some(match found.is_dir() {
            true => "is open to other users; run `chmod 700` on it",
            false => {
                "is open to other users; run `chmod 600` on it, \
                 and treat the token as known to them"
            }
        })
    }

    /// Options that open no symbolic link, and create files for the user only.
    pub(in crate::store::file) fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        // Without `NOFOLLOW`, a link could lead reads and writes to a file of the user's elsewhere.
        // Without `NONBLOCK`, a named pipe in place of the file would block the thread.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits() as i32);
        options
    }

    /// Makes renames and removals in a directory survive a crash.
    pub(in crate::store::file) fn sync(directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

/// Other systems: the permissions of the user's directory protect the files, and a directory cannot be synced.
#[cfg(not(unix))]
mod system {
    use std::fs::{Metadata, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(in crate::store::file) fn objection(_: &Metadata) -> Option<&'static str> {
        None
    }

    pub(in crate::store::file) fn options() -> OpenOptions {
        OpenOptions::new()
    }

    pub(in crate::store::file) fn sync(_: &Path) -> io::Result<()> {
        Ok(())
    }
}
