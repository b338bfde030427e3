//! A token in a file that another program keeps up to date.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::token::token::Token;

/// The token in a file that another program keeps up to date, such as a Kubernetes service account token.
///
/// The file is read again in the background every [`RECHECK`](Self::RECHECK), and at once when the token is rejected. While
/// the file is missing or empty, the last token is used until it expires. White space around the token is removed. The
/// `exp` of a JWT is used as a hint of the expiry. If every user of the machine can read the file, one warning is logged.
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
    /// How often the file is read while its token is in use.
    pub const RECHECK: Duration = Duration::from_secs(10);

    /// The size of the largest file that is accepted, in bytes.
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
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        let Self { path, warned } = self.clone();
        let token = request.run_blocking(move || read(&path, &warned));
        Box::pin(async move { token.await? })
    }
}

fn read(path: &Path, warned: &AtomicBool) -> Result<Token, Error> {
    let shown = path.display();
    // Every fault is temporary, because another program writes the file and may mend it.
    let error = |what| Error::unavailable(format!("the token file {shown} {what}"));
    let text = read_whole(path, warned).map_err(|fault| error(problem(&fault)).caused_by(fault))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(error("is empty; another program may be writing it"));
    }
    Ok(Token::new(text)?
        .expiry_from_jwt()
        .recheck_after(FileToken::RECHECK))
}

/// Opens the file once, so that a file that is replaced meanwhile is still read as a whole.
fn read_whole(path: &Path, warned: &AtomicBool) -> io::Result<Zeroizing<String>> {
    let file = File::open(path)?;
    if every_user_may(READ, &file)? && !warned.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            target: "keyfob",
            path = %path.display(),
            "every user of this machine can read the token file; run `chmod o-r` on it",
        );
    }
    read_text(file)
}

/// The text of a file that may hold a secret, up to [`FileToken::SIZE_LIMIT`].
pub(crate) fn read_text(file: File) -> io::Result<Zeroizing<String>> {
    // A buffer that grows leaves a copy behind that is not wiped, so it starts with room for any usual token.
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    let length = file
        .take(FileToken::SIZE_LIMIT + 1)
        .read_to_string(&mut text)?;
    if length as u64 > FileToken::SIZE_LIMIT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(text)
}

/// Why [`read_text`] failed, in words that follow the name of the file.
pub(crate) fn problem(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist",
        io::ErrorKind::PermissionDenied => "may not be read by this user",
        io::ErrorKind::InvalidData => "is not text, or is longer than 1 MiB",
        _ => "cannot be read",
    }
}

/// Whether every user of the machine has this permission, a bit of the file's mode.
#[cfg(unix)]
pub(crate) fn every_user_may(permission: u32, file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & permission != 0)
}

#[cfg(not(unix))]
pub(crate) fn every_user_may(_: u32, _: &File) -> io::Result<bool> {
    Ok(false)
}

const READ: u32 = 0o004;
