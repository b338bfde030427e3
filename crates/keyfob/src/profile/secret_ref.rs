//! References to secrets: what a profile file holds instead of a secret.

use std::env::VarError;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fmt, io};

use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

use crate::cache::builder::TokenCacheBuilder;
use crate::error::error::Error;
use crate::profile::keyring;
use crate::runtime::runtime::TokioOrThreads;
use crate::source::command::CommandToken;
use crate::source::env::EnvToken;
use crate::source::file::FileToken;
use crate::source::source::{Reason, TokenRequest, TokenSource};
use crate::token::token::Token;

/// The place where a secret is. It is read each time the secret is needed, so that a changed secret is noticed.
#[derive(Clone)]
pub(super) enum SecretRef {
    /// `env:NAME`
    Environment(String),
    /// `file:/path`
    File(PathBuf),
    /// `command:program argument …`
    Command(Box<CommandToken>),
    /// `keyring:service/user`
    Keyring { service: String, user: String },
}

impl SecretRef {
    /// The forms of a reference, for messages.
    pub(super) const FORMS: &str =
        "`env:NAME`, `file:/path`, `command:program argument` or `keyring:service/user`";

    /// Parses a reference. The error message does not quote the text, which may be the secret itself.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) => parse_variable(name),
            Some(("file", path)) => Ok(Self::File(absolute(path)?)),
            Some(("command", line)) => parse_command(line),
            Some(("keyring", entry)) => parse_keyring_entry(entry),
            _ => Err(format!(
                "is a secret, which must not be in this file; give the place where it is: {}",
                Self::FORMS
            )),
        }
    }

    /// A text that differs for different references. It must not be shown, because the arguments of a command may be secrets.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::Command(command) => format!("{self} {:?}", command.words()),
            _ => self.to_string(),
        }
    }

    /// A token source that reads this place.
    pub(super) fn token_source(&self) -> Arc<dyn TokenSource> {
        match self {
            Self::Environment(name) => Arc::new(EnvToken::new(name)),
            Self::File(path) => Arc::new(FileToken::new(path)),
            Self::Command(command) => Arc::new((**command).clone()),
            Self::Keyring { .. } => Arc::new(KeyringToken(self.clone())),
        }
    }

    /// Reads the secret outside of a renewal, with the default timeout of one.
    pub(super) async fn read_now(&self) -> Result<Zeroizing<String>, Error> {
        self.read(&direct_request()).await
    }

    /// Reads the secret, without white space at its ends.
    pub(super) async fn read(&self, request: &TokenRequest) -> Result<Zeroizing<String>, Error> {
        let text = match self {
            Self::Environment(name) => read_variable(name),
            Self::File(path) => {
                let path = path.clone();
                request.run_blocking(move || read_file(&path)).await?
            }
            Self::Command(command) => command.text(request).await,
            Self::Keyring { service, user } => {
                let (service, user) = (service.clone(), user.clone());
                let read = move || keyring::read(&service, &user);
                request.run_blocking(read).await?
            }
        }?;
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(Error::unavailable(format!("the secret in {self} is empty")));
        }
        Ok(Zeroizing::new(trimmed.to_owned()))
    }
}

/// A token in the keyring.
struct KeyringToken(SecretRef);

impl TokenSource for KeyringToken {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let text = self.0.read(request).await?;
            Ok(Token::new(text.as_str())?.expiry_from_jwt())
        })
    }
}

/// A request for a secret that no token cache makes.
pub(super) fn direct_request() -> TokenRequest {
    TokenRequest::new(
        Reason::Missing,
        TokenCacheBuilder::FETCH_TIMEOUT,
        Arc::new(TokioOrThreads),
        0,
    )
}

/// Shows only the program of a command, because its arguments may be secrets.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Command(command) => write!(f, "the command {}", command.program().display()),
            Self::Keyring { service, user } => write!(f, "the keyring ({service}/{user})"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({self})")
    }
}

fn parse_variable(name: &str) -> Result<SecretRef, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(is_allowed)
    {
        return Err("does not name an environment variable; write `env:NAME`, without `$`".into());
    }
    Ok(SecretRef::Environment(name.to_owned()))
}

fn parse_command(line: &str) -> Result<SecretRef, String> {
    let mut words = shell_words::split(line)
        .map_err(|_| "cannot be split into words; close its quotes".to_owned())?;
    if let Some(program) = words.first_mut()
        && program.contains('/')
    {
        *program = absolute(program)?.to_string_lossy().into_owned();
    }
    CommandToken::new(words)
        .map(|command| SecretRef::Command(Box::new(command)))
        .map_err(|error| format!("cannot be used: {error}"))
}

fn parse_keyring_entry(entry: &str) -> Result<SecretRef, String> {
    match entry.rsplit_once('/') {
        Some((service, user)) if !service.is_empty() && !user.is_empty() => {
            Ok(SecretRef::Keyring {
                service: service.to_owned(),
                user: user.to_owned(),
            })
        }
        _ => Err("does not name an entry of the keyring; write `keyring:service/user`".into()),
    }
}

/// A path that does not depend on the current directory.
pub(super) fn absolute(path: &str) -> Result<PathBuf, String> {
    if let Some(below) = path.strip_prefix("~/") {
        let home = etcetera::home_dir()
            .map_err(|_| "begins with `~`, but there is no home directory".to_owned())?;
        return Ok(home.join(below));
    }
    if !Path::new(path).is_absolute() {
        return Err(
            "has a path that depends on the current directory; give it in full, or beginning with `~/`"
                .into(),
        );
    }
    Ok(PathBuf::from(path))
}

fn read_variable(name: &str) -> Result<Zeroizing<String>, Error> {
    // The `VarError` is not the source of our error, because it may hold the secret.
    env::var(name).map(Zeroizing::new).map_err(|error| {
        Error::unavailable(match error {
            VarError::NotPresent => {
                format!("the environment variable {name}, which should hold a secret, is not set")
            }
            VarError::NotUnicode(_) => format!("the environment variable {name} is not text"),
        })
    })
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, Error> {
    read_text(path).map_err(|error| {
        let problem = match error.kind() {
            io::ErrorKind::NotFound => "does not exist",
            io::ErrorKind::PermissionDenied => "may not be read by this user",
            io::ErrorKind::InvalidData => "is not text, or is longer than 1 MiB",
            _ => "cannot be read",
        };
        let path = path.display();
        Error::unavailable(format!(
            "the file {path}, which should hold a secret, {problem}"
        ))
        .caused_by(error)
    })
}

fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let file = File::open(path)?;
    // Enough room for a typical secret: a buffer that grows leaves a copy behind in freed memory.
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    let length = file.take(LIMIT + 1).read_to_string(&mut text)?;
    if length as u64 > LIMIT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(text)
}

const LIMIT: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_a_plain_secret_is_refused_and_not_quoted() {
        for text in [
            "s3cret",
            "pa:s3cret",
            "",
            "ENV:s3cret",
            "env",
            "env:$s3cret",
            "env:s3 cret",
        ] {
            let error = SecretRef::parse(text).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_path_must_not_depend_on_the_current_directory() {
        for text in [
            "file:secret",
            "file:./secret",
            "command:./helper",
            "command:bin/helper x",
        ] {
            let error = SecretRef::parse(text).unwrap_err();
            assert!(error.contains("in full"), "{text}: {error}");
        }
        for text in [
            "file:/run/secret",
            "file:~/secret",
            "command:/bin/helper",
            "command:gh auth",
        ] {
            assert!(SecretRef::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn s1_the_arguments_of_a_command_are_not_shown() {
        let secret = SecretRef::parse("command:helper --key s3cret").unwrap();
        assert_eq!(format!("{secret:?}"), "SecretRef(the command helper)");
    }

    #[test]
    fn a_command_with_an_open_quote_is_refused() {
        assert!(
            SecretRef::parse("command:helper 'a")
                .unwrap_err()
                .contains("quotes")
        );
    }
}
