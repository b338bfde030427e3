//! A unix socket at which a proxy listens, and its file: who may reach it, and which process owns it (P3).

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
pub(super) use tokio::net::UnixStream;
use tokio::net::{UnixListener, UnixSocket};

use crate::error::error::Error;

/// A unix socket, and its file.
#[derive(Debug)]
pub(super) struct LocalSocket {
    socket: UnixListener,
    /// Dropping it removes the file. A socket from systemd has none.
    _file: Option<SocketFile>,
}

impl LocalSocket {
    pub(super) fn bind(path: PathBuf) -> Result<Self, Error> {
        let (socket, file) = SocketFile::bind(path)?;
        Ok(Self {
            socket,
            _file: Some(file),
        })
    }

    /// A socket that is bound already, and whose file is another program's.
    pub(super) fn from_std(socket: std::os::unix::net::UnixListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: UnixListener::from_std(socket)?,
            _file: None,
        })
    }

    /// The next connection, and the number of the user whose process made it.
    pub(super) async fn accept(&self) -> io::Result<(UnixStream, u32)> {
        let (stream, _) = self.socket.accept().await?;
        let user = stream.peer_cred()?.uid();
        Ok((stream, user))
    }
}

/// A socket file that this process has made. It is removed when this is dropped, if it is still the same file.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// The device and the number of the file.
    identity: (u64, u64),
}

impl SocketFile {
    /// Makes the socket, and its directory if that is missing.
    fn bind(path: PathBuf) -> Result<(UnixListener, Self), Error> {
        check_path(&path)?;
        let directory = path.parent().unwrap_or(Path::new("/"));
        prepare(directory)?;
        // Two programs that both find a dead socket must not each replace that of the other.
        let lock = File::open(directory).and_then(|file| file.lock().map(|()| file));
        let _lock = lock.map_err(|error| unusable(directory, "cannot be locked", error))?;
        replace_dead(&path)?;
        let failed = |error| unusable(&path, "cannot be made a socket", error);
        let socket = UnixSocket::new_stream().map_err(failed)?;
        // On Linux, the file gets the permissions of the socket, so it never has any other. macOS refuses to change those of a socket.
        #[cfg(target_os = "linux")]
        rustix::fs::fchmod(&socket, OWNER_ONLY.into()).map_err(|error| failed(error.into()))?;
        socket.bind(&path).map_err(failed)?;
        // Elsewhere it gets those of the process. Nothing can connect before the socket listens.
        fs::set_permissions(&path, fs::Permissions::from_mode(OWNER_ONLY)).map_err(failed)?;
        let found = fs::symlink_metadata(&path).map_err(failed)?;
        let file = Self {
            identity: (found.dev(), found.ino()),
            path: path.clone(),
        };
        let listener = socket.listen(BACKLOG).map_err(failed)?;
        Ok((listener, file))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        // Another process may have replaced it.
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn check_path(path: &Path) -> Result<(), Error> {
    let shown = path.display();
    if !path.is_absolute() {
        return Err(Error::input(format!(
            "the path of the socket {shown} is not absolute; give one that begins with `/`"
        )));
    }
    match SocketAddr::from_pathname(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::input(format!(
            "the path of the socket {shown} has {} bytes, which is more than the system allows for sockets (about 100); give a shorter \
             one",
            path.as_os_str().len()
        ))
        .caused_by(error)),
    }
}

/// Makes the directory of a socket, or checks who can change it.
fn prepare(directory: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(directory)
        .map_err(|error| unusable(directory, "cannot be made", error))?;
    let found =
        fs::metadata(directory).map_err(|error| unusable(directory, "cannot be read", error))?;
    let problem = if found.uid() != geteuid().as_raw() {
        "belongs to another user"
    } else if found.mode() & 0o022 != 0 {
        "can be written by other users; run `chmod go-w` on it"
    } else {
        return Ok(());
    };
    Err(Error::input(format!(
        "the directory of the socket, {}, {problem}, or choose a directory of your own",
        directory.display()
    )))
}

/// Removes the file of a process that has ended. Fails if the file is anything else.
fn replace_dead(path: &Path) -> Result<(), Error> {
    let shown = path.display();
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(path, "cannot be read", error)),
    };
    if !found.file_type().is_socket() {
        return Err(Error::input(format!(
            "{shown} exists and is no socket; remove it, or choose another path"
        )));
    }
    if found.uid() != geteuid().as_raw() {
        return Err(Error::input(format!(
            "the socket {shown} belongs to another user; choose another path"
        )));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(Error::input(format!(
            "another process listens at {shown}; stop it, or choose another path"
        ))),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| unusable(path, "cannot be replaced", error))
        }
        Err(error) => Err(unusable(
            path,
            "cannot be reached, and may be in use",
            error,
        )),
    }
}

fn unusable(path: &Path, problem: &str, error: io::Error) -> Error {
    Error::input(format!("{} {problem}", path.display())).caused_by(error)
}

const OWNER_ONLY: u32 = 0o600;

/// How many connections may wait until they are accepted.
const BACKLOG: u32 = 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;
    use std::os::unix::net::UnixListener as StdListener;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn refused(path: PathBuf) -> String {
        SocketFile::bind(path).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn p3_socket_and_directory_are_made_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made").join("proxy.sock");
        let (socket, file) = SocketFile::bind(path.clone()).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        drop((socket, file));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn p3_a_directory_that_others_can_change_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o777, 0o720, 0o1777] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            let error = refused(folder.path().join("s"));
            assert!(error.contains("chmod go-w"), "{error}");
        }
        // Only the administrator can give a directory to another user.
        if geteuid().is_root() {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
            chown(folder.path(), Some(65534), None).unwrap();
            let error = refused(folder.path().join("s"));
            assert!(error.contains("another user"), "{error}");
        }
    }

    #[tokio::test]
    async fn the_socket_of_a_dead_process_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let live = StdListener::bind(&path).unwrap();
        let error = refused(path.clone());
        assert!(error.contains("another process listens"), "{error}");
        drop(live);
        let (_socket, file) = SocketFile::bind(path.clone()).unwrap();
        // The file of another process stays.
        fs::remove_file(&path).unwrap();
        let _other = StdListener::bind(&path).unwrap();
        drop(file);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn p3_a_socket_of_another_user_is_not_replaced() {
        if !geteuid().is_root() {
            eprintln!("skipped: only the administrator can make a socket of another user");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(StdListener::bind(&path).unwrap());
        chown(&path, Some(65534), None).unwrap();
        let error = refused(path.clone());
        assert!(error.contains("belongs to another user"), "{error}");
    }

    #[tokio::test]
    async fn a_path_that_is_no_place_for_a_socket_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "text").unwrap();
        for (path, word) in [
            (PathBuf::from("s"), "not absolute"),
            (folder.path().join("x".repeat(120)), "shorter"),
            (file.clone(), "no socket"),
            (file.join("s"), "cannot be made"),
        ] {
            let error = refused(path);
            assert!(error.contains(word), "{error}");
        }
        assert_eq!(fs::read_to_string(file).unwrap(), "text");
    }
}
