//! A token in a file that another program keeps up to date.

use std::path::Path;
use std::time::Duration;

use crate::error::error::{Error, ErrorKind};
use crate::error::printable::printable;
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::source::token_text::parse_as;
use crate::source::token_text::type_use::TypeUse;
use crate::token::secret_file::{FileUse, SecretFile};
use crate::token::token::{Expiry, Token};

/// The token in a file that another program keeps up to date, such as a Kubernetes service account token.
///
/// The file is read again in the background every [`RECHECK`](Self::RECHECK), and at once when the token is rejected. While
/// the file is missing or empty, the last token is used until it expires. The file may hold the token alone, or any format
/// that [`CommandToken`](crate::CommandToken) reads; white space, a byte order mark and quotes around the token are removed.
/// A lifetime (`expires_in`) counts from when the file was last changed. Without an expiry, the `exp` of a JWT is used as a
/// hint.
///
/// A file that other users can write is refused, on Unix. If every user of the machine can read it, or if it belongs to
/// another user, one warning is logged.
///
/// ```
/// use keyfob::FileToken;
///
/// let source = FileToken::new("/var/run/secrets/kubernetes.io/serviceaccount/token");
/// ```
#[derive(Clone, Debug)]
pub struct FileToken {
    file: SecretFile,
}

impl FileToken {
    /// How often the file is read while its token is in use.
    pub const RECHECK: Duration = Duration::from_secs(10);

    /// The size of the largest file that is accepted, in bytes.
    pub const SIZE_LIMIT: u64 = SecretFile::SIZE_LIMIT;

    /// Reads the token from this file.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self::of(SecretFile::new(path, FileUse::Secret))
    }

    pub(crate) fn of(file: SecretFile) -> Self {
        Self { file }
    }
}

impl TokenSource for FileToken {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        let file = self.file.clone();
        let type_use = request.type_use;
        let token = request.run_blocking(move || read(&file, type_use));
        Box::pin(async move { token.await? })
    }
}

fn read(file: &SecretFile, type_use: TypeUse) -> Result<Token, Error> {
    // Every fault is temporary, because another program writes the file and may mend it.
    let (text, changed) = file
        .read_dated()
        .map_err(|fault| fault.into_error(ErrorKind::Unavailable, "the token file"))?;
    let path = printable(file.path().to_string_lossy());
    if text.trim().is_empty() {
        return Err(Error::unavailable(format!(
            "the token file {path} is empty; another program may be writing it"
        )));
    }
    let token = parse_as(text.as_bytes(), type_use).map_err(|fault| {
        let message = format!("the token file {path} holds no token: {fault}");
        Error::new(fault.kind(), message)
    })?;
    let token = token.recheck_after(FileToken::RECHECK);
    Ok(match (token.expires(), changed) {
        // The lifetime began when the file was written, not each time that it is read.
        (Expiry::In(_), Some(changed)) => token.obtained_at(changed),
        _ => token,
    })
}
