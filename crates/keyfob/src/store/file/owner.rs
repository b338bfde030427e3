//! Unix: what is kept belongs to this user, and nobody else can read it.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;

/// Why others could read or change what is kept, if they could.
pub(super) fn objection(found: &Metadata) -> Option<&'static str> {
    if found.uid() != geteuid().as_raw() {
        return Some("belongs to another user; give each user a store");
    }
    if found.mode() & 0o077 != 0 {
        return Some(match found.is_dir() {
            true => "is open to other users; take their rights with `chmod 700`",
            false => {
                "is open to other users; take their rights with `chmod 600`, \
                      and think of the token as known to them"
            }
        });
    }
    None
}

/// Options by which a file is opened that is no symbolic link and no device, and is made for its owner alone.
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // A pipe in place of the file must not hold up whoever opens it.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.mode(0o600).custom_flags(flags.bits() as i32);
    options
}

/// Makes a directory and its parents, all for their owner alone.
pub(super) fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

/// Makes what was renamed in a directory last.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
