//! A token in a file that somebody else keeps fresh.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::token::Token;

/// The token in a file, read again when it may have changed, as Kubernetes projects tokens.
///
/// The file is looked at again every [`RECHECK`](Self::RECHECK) beside the requests, and at once when its token is
/// rejected. While it is missing or empty, a token that was read before and has not expired is used on. White space
/// around the token is dropped; a JWT's `exp` is read as a hint. A file that others can read is reported in the log, once.
///
/// ```
/// use keyfob::FileToken;
///
/// let source = FileToken::new("/var/run/secrets/kubernetes.io/serviceaccount/token");
/// ```
#[derive(Clone, Debug)]
pub struct FileToken {
    path: PathBuf,
    warned: Arc<AtomicBool>,
}

impl FileToken {
    /// How often the file is looked at while its token is in use.
    pub const RECHECK: Duration = Duration::from_secs(10);

    /// The largest file that is read, in bytes.
    pub const SIZE_LIMIT: u64 = 1024 * 1024;

    /// Reads the token from this file.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            warned: Arc::default(),
        }
    }
}

impl TokenSource for FileToken {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        let Self { path, warned } = self.clone();
        let answer = request.run_blocking(move || read(&path, &warned));
        Box::pin(async move { answer.await? })
    }
}

fn read(path: &Path, warned: &AtomicBool) -> Result<Token, Error> {
    let shown = path.display();
    let text = read_whole(path, warned).map_err(|fault| {
        let what = match fault.kind() {
            io::ErrorKind::NotFound => "does not exist",
            io::ErrorKind::PermissionDenied => "may not be read by this user",
            io::ErrorKind::InvalidData => {
                "does not hold a token: it is not text, or longer than 1 MiB"
            }
            _ => "cannot be read",
        };
        Error::unavailable(format!("the token file {shown} {what}")).caused_by(fault)
    })?;
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::unavailable(format!(
            "the token file {shown} is empty; it may be being written"
        )));
    }
    Ok(Token::new(text)?
        .expiry_from_jwt()
        .recheck_after(FileToken::RECHECK))
}

/// One open, one read: a file that is replaced meanwhile is read as it was when it was opened.
fn read_whole(path: &Path, warned: &AtomicBool) -> io::Result<Zeroizing<String>> {
    let file = File::open(path)?;
    if permissions::every_user_can_read(&file)? && !warned.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            target: "keyfob",
            path = %path.display(),
            "every user of this machine can read the token file; take the right from them with `chmod o-r`",
        );
    }
    // Room for a usual token, so that no copy is left behind by a buffer that grew.
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    let length = file
        .take(FileToken::SIZE_LIMIT + 1)
        .read_to_string(&mut text)?;
    if length as u64 > FileToken::SIZE_LIMIT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(text)
}

#[cfg(unix)]
mod permissions {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::PermissionsExt;

    pub(super) fn every_user_can_read(file: &File) -> io::Result<bool> {
        Ok(file.metadata()?.permissions().mode() & 0o004 != 0)
    }
}

#[cfg(not(unix))]
mod permissions {
    use std::fs::File;
    use std::io;

    pub(super) fn every_user_can_read(_: &File) -> io::Result<bool> {
        Ok(false)
    }
}
