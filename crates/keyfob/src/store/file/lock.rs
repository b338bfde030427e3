//! The lock of the system that is a lease: it ends with its process.

use std::fs::File;
use std::io;

use fs4::{FileExt, TryLockError};

/// A lock on a file that is never removed, so that all who want it lock the same one.
#[derive(Debug)]
pub(in crate::store) struct Lock(File);

impl Lock {
    /// `None` if somebody else has it.
    pub(super) fn on(file: File) -> io::Result<Option<Self>> {
        match FileExt::try_lock(&file) {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(fault)) => Err(fault),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Said outright: a child that was forked meanwhile shares the open file, and would keep the lock.
        let _ = FileExt::unlock(&self.0);
    }
}
