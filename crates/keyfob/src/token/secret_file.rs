//! Files that hold a secret, or decide where one goes: who may own them, and what other users may do with them (S2).
//!
//! Every such file is judged here: token files, files of secret references, keys, certificates with a key, files of trusted
//! authorities, the profile file, and the files of a store.

use std::fs::{File, Metadata};
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use zeroize::Zeroizing;

pub(crate) use system::numbers;

use crate::error::error::{Error, ErrorKind};
use crate::error::printable::printable;
use crate::error::shown_name::shown_name;

/// What a file is used for, which decides how well it must be protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileUse {
    /// It holds a secret that a person or another program put there.
    Secret,
    /// It holds a token that a platform puts there for all users of a pod.
    Projected,
    /// It holds the certificates of the authorities that are trusted, which anyone may know.
    Authorities,
    /// It says which commands run and where tokens go, and holds no secret.
    Settings,
    /// keyfob made it, or the directory of such files.
    Store,
}

/// What is to be done about a file. The words follow its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    Good,
    Poor(&'static str),
    Refused(&'static str),
}

/// A file of a secret or of settings, and whether its poor protection has been reported.
#[derive(Clone, Debug)]
pub(crate) struct SecretFile {
    path: PathBuf,
    used_for: FileUse,
    reported: Arc<AtomicBool>,
}

/// Why a file cannot be used.
#[derive(Debug)]
pub(crate) struct FileFault {
    path: String,
    problem: &'static str,
    cause: Option<io::Error>,
}

impl SecretFile {
    /// The size of the largest file that is read, in bytes.
    pub(crate) const SIZE_LIMIT: u64 = 1024 * 1024;

    pub(crate) fn new(path: impl AsRef<Path>, used_for: FileUse) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            used_for,
            reported: Arc::default(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// As [`read_dated`](Self::read_dated), without the time.
    pub(crate) fn read(&self) -> Result<Zeroizing<String>, FileFault> {
        self.read_dated().map(|(text, _)| text)
    }

    /// The text of the file, without a byte order mark, and when the file was last changed, if the system knows it.
    ///
    /// A file that other users can read is reported once, with its path, and used.
    pub(crate) fn read_dated(&self) -> Result<(Zeroizing<String>, Option<SystemTime>), FileFault> {
        let (bytes, changed) = self.read_judged()?;
        Ok((self.decode(bytes)?, changed))
    }

    /// The bytes of the file.
    pub(crate) fn read_bytes(&self) -> Result<Zeroizing<Vec<u8>>, FileFault> {
        self.read_judged().map(|(bytes, _)| bytes)
    }

    fn read_judged(&self) -> Result<(Zeroizing<Vec<u8>>, Option<SystemTime>), FileFault> {
        let unreadable = |cause: io::Error| self.fault(problem(&cause), Some(cause));
        self.judge_link()?;
        // Opened once, so that a file that is replaced meanwhile is still judged and read as a whole.
        let file = File::open(&self.path).map_err(unreadable)?;
        let found = file.metadata().map_err(unreadable)?;
        if found.is_dir() {
            return Err(self.fault("is a directory; name a file in it", None));
        }
        match protection(&found, self.used_for) {
            Protection::Good => {}
            Protection::Poor(why) => self.report(why),
            Protection::Refused(why) => return Err(self.fault(why, None)),
        }
        let bytes = read_whole(file).map_err(unreadable)?;
        if bytes.len() as u64 > Self::SIZE_LIMIT {
            return Err(self.fault("is longer than 1 MiB", None));
        }
        Ok((bytes, found.modified().ok()))
    }

    /// Refuses a link that another user made, because that user chooses what is read.
    fn judge_link(&self) -> Result<(), FileFault> {
        match std::fs::symlink_metadata(&self.path) {
            Ok(found) if found.is_symlink() && system::owner(&found) == Owner::Another => Err(self
                .fault(
                    "is a symbolic link of another user; name the file itself",
                    None,
                )),
            // A file that is missing is reported when it is opened.
            _ => Ok(()),
        }
    }

    fn decode(&self, mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, FileFault> {
        // Some editors and shells of Windows write UTF-16, or a mark in front of UTF-8.
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(self.fault("is UTF-16 text; save it as UTF-8", None));
        }
        if bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        match String::from_utf8(std::mem::take(&mut *bytes)) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(self.fault("is not text", None))
            }
        }
    }

    fn report(&self, problem: &str) {
        if !self.reported.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "keyfob",
                path = %printable(self.path.to_string_lossy()),
                problem,
                "the file of a secret is open to other users",
            );
        }
    }

    fn fault(&self, problem: &'static str, cause: Option<io::Error>) -> FileFault {
        let path = self.path.to_string_lossy();
        // A path that leads nowhere may be a secret that was given in its place.
        let is_missing = cause.as_ref().is_some_and(|cause| {
            // A secret may also be too long for a name, or have a character that no name has.
            cause.kind() != io::ErrorKind::PermissionDenied
        });
        FileFault {
            path: if is_missing {
                shown_name(&path)
            } else {
                printable(&path)
            },
            problem,
            cause,
        }
    }
}

impl FileFault {
    /// The error about this file: what it is, its path, what is wrong, and the system's own words as the cause.
    pub(crate) fn into_error(self, kind: ErrorKind, what: &str) -> Error {
        let error = Error::new(kind, format!("{what} {} {}", self.path, self.problem));
        match self.cause {
            Some(cause) => error.caused_by(cause),
            None => error,
        }
    }
}

/// Judges the owner and the permissions of an open file or a directory.
pub(crate) fn protection(found: &Metadata, used_for: FileUse) -> Protection {
    use Protection::{Good, Poor, Refused};
    let (owner, others) = (system::owner(found), system::permissions_of_others(found));
    match used_for {
        FileUse::Store if owner != Owner::Me => {
            Refused("belongs to another user; give each user a store")
        }
        FileUse::Store if others == 0 => Good,
        FileUse::Store if found.is_dir() => {
            Refused("is open to other users; run `chmod 700` on it")
        }
        FileUse::Store => Refused(
            "is open to other users; run `chmod 600` on it, and treat the token as known to them",
        ),
        FileUse::Settings if owner == Owner::Another => Refused(
            "belongs to another user, and a profile can run commands; make a copy of your own",
        ),
        // Where each user has a group of their own, files are usually made like this.
        FileUse::Authorities if found.is_file() && others & WRITE == WRITE_BY_GROUP => {
            Poor("its group can write it; run `chmod g-w` on it")
        }
        // A device such as `/dev/null`, or a pipe, is not changed by writing to it.
        _ if found.is_file() && others & WRITE != 0 => {
            Refused("can be written by other users; remove that permission with `chmod go-w`")
        }
        FileUse::Settings => Good,
        FileUse::Secret | FileUse::Projected | FileUse::Authorities if owner == Owner::Another => {
            Poor("it belongs to another user, who can change it")
        }
        FileUse::Secret if found.is_file() && others & READ_BY_ALL != 0 => {
            Poor("every user of this machine can read it; run `chmod o-r` on it")
        }
        FileUse::Secret | FileUse::Projected | FileUse::Authorities => Good,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Me,
    /// The administrator, who can change every file.
    Root,
    Another,
}

fn read_whole(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    // A buffer that grows leaves a copy behind that is not wiped, so it starts with room for any usual secret.
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
    file.take(SecretFile::SIZE_LIMIT + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the error of the system means, in words that follow the name of the file.
fn problem(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist",
        io::ErrorKind::PermissionDenied => "may not be read by this user",
        _ => "cannot be read",
    }
}

#[cfg(unix)]
mod system {
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt;

    use rustix::process::geteuid;

    use super::Owner;

    pub(super) fn owner(found: &Metadata) -> Owner {
        match found.uid() {
            uid if uid == geteuid().as_raw() => Owner::Me,
            0 => Owner::Root,
            _ => Owner::Another,
        }
    }

    /// The bits of the group and of all others.
    pub(super) fn permissions_of_others(found: &Metadata) -> u32 {
        found.mode() & 0o077
    }

    /// The device, the file's number, and when its owner, mode or content was last changed.
    pub(crate) fn numbers(found: &Metadata) -> [i64; 4] {
        [
            found.dev().cast_signed(),
            found.ino().cast_signed(),
            found.ctime(),
            found.ctime_nsec(),
        ]
    }
}

/// Other systems: the permissions of the user's directory protect the files.
#[cfg(not(unix))]
mod system {
    use std::fs::Metadata;

    use super::Owner;

    pub(super) fn owner(_: &Metadata) -> Owner {
        Owner::Me
    }

    pub(super) fn permissions_of_others(_: &Metadata) -> u32 {
        0
    }

    pub(crate) fn numbers(_: &Metadata) -> [i64; 4] {
        [0; 4]
    }
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
const WRITE: u32 = 0o022;
const WRITE_BY_GROUP: u32 = 0o020;
const READ_BY_ALL: u32 = 0o004;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use rustix::process::geteuid;
    use tempfile::TempDir;

    use super::*;

    struct Folder(TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(&self, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
            let path = self.0.path().join("secret");
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        }
    }

    fn read(path: &Path, used_for: FileUse) -> Result<String, String> {
        let text = SecretFile::new(path, used_for).read_dated();
        let error = |fault: FileFault| fault.into_error(ErrorKind::Input, "the file").to_string();
        text.map(|(text, _)| text.to_string()).map_err(error)
    }

    #[test]
    fn s2_a_file_of_authorities_may_be_read_by_all_and_not_be_written() {
        let folder = Folder::new();
        let protection = |mode| judged(&folder.file("t", mode), FileUse::Authorities);
        assert_eq!(protection(0o644), Protection::Good);
        assert!(matches!(protection(0o664), Protection::Poor(_)));
        assert!(matches!(protection(0o666), Protection::Refused(_)));
        let bytes = SecretFile::new(folder.file(b"\xe9", 0o644), FileUse::Authorities);
        assert_eq!(bytes.read_bytes().unwrap().as_slice(), b"\xe9");
    }

    fn judged(path: &Path, used_for: FileUse) -> Protection {
        protection(&fs::metadata(path).unwrap(), used_for)
    }

    #[test]
    fn s2_a_file_that_others_can_write_is_refused_for_each_use() {
        let folder = Folder::new();
        for mode in [0o620, 0o602, 0o666, 0o660] {
            let path = folder.file("t", mode);
            for used_for in [FileUse::Secret, FileUse::Settings, FileUse::Store] {
                let judged = judged(&path, used_for);
                assert!(
                    matches!(judged, Protection::Refused(_)),
                    "{mode:o} {used_for:?}"
                );
            }
            let error = read(&path, FileUse::Secret).unwrap_err();
            assert!(
                error.contains("chmod go-w") && error.contains(path.to_str().unwrap()),
                "{error}"
            );
        }
    }

    #[test]
    fn s2_a_secret_that_all_can_read_is_poorly_protected_and_settings_are_not() {
        let folder = Folder::new();
        let path = folder.file("t", 0o644);
        assert!(matches!(
            judged(&path, FileUse::Secret),
            Protection::Poor(_)
        ));
        assert_eq!(judged(&path, FileUse::Settings), Protection::Good);
        assert_eq!(judged(&path, FileUse::Projected), Protection::Good);
        assert!(matches!(
            judged(&path, FileUse::Store),
            Protection::Refused(_)
        ));
        let path = folder.file("t", 0o640);
        assert_eq!(judged(&path, FileUse::Secret), Protection::Good);
        assert_eq!(read(&path, FileUse::Secret).unwrap(), "t");
    }

    #[test]
    fn s2_settings_and_links_of_another_user_are_refused() {
        if !geteuid().is_root() {
            return; // Only the administrator can give a file away.
        }
        let folder = Folder::new();
        let path = folder.file("t", 0o600);
        let link = folder.0.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(
            read(&link, FileUse::Settings).unwrap(),
            "t",
            "a link of one's own"
        );
        std::os::unix::fs::lchown(&link, Some(12345), None).unwrap();
        let error = read(&link, FileUse::Secret).unwrap_err();
        assert!(error.contains("symbolic link of another user"), "{error}");
        chown(&path, Some(12345), None).unwrap();
        let error = read(&path, FileUse::Settings).unwrap_err();
        assert!(error.contains("belongs to another user"), "{error}");
        assert!(matches!(
            judged(&path, FileUse::Secret),
            Protection::Poor(_)
        ));
        assert!(matches!(
            judged(&path, FileUse::Store),
            Protection::Refused(_)
        ));
    }

    #[test]
    fn text_of_windows_is_read_or_refused_with_the_reason() {
        let folder = Folder::new();
        let path = folder.file("\u{feff}t\r\n", 0o600);
        assert_eq!(read(&path, FileUse::Secret).unwrap(), "t\r\n");
        for (bytes, reason) in [
            (&b"\xff\xfet\0"[..], "UTF-16"),
            (&b"\xfe\xff\0t"[..], "UTF-16"),
            (&b"t\xff"[..], "not text"),
        ] {
            let error = read(&folder.file(bytes, 0o600), FileUse::Secret).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let error = read(folder.0.path(), FileUse::Secret).unwrap_err();
        assert!(error.contains("is a directory"), "{error}");
    }

    #[test]
    fn s1_a_secret_in_place_of_a_path_is_not_shown() {
        for secret in [
            "sk-live-51H8xYt",
            "K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
        ] {
            let error = read(Path::new(secret), FileUse::Secret).unwrap_err();
            assert!(!error.contains(secret), "{error}");
        }
        let error = read(Path::new("/no/such/token.json"), FileUse::Secret).unwrap_err();
        assert_eq!(error, "the file /no/such/token.json does not exist");
    }
}
