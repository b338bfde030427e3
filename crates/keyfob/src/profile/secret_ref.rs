//! References to secrets: what a profile file holds instead of a secret.

use std::env::VarError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fmt};

use zeroize::Zeroizing;

use crate::cache::builder::TokenCacheBuilder;
use crate::error::error::{Error, ErrorKind};
use crate::error::shown_name::shown_name;
use crate::profile::keyring;
use crate::runtime::runtime::TokioOrThreads;
use crate::source::command::CommandToken;
use crate::source::env::EnvToken;
use crate::source::file::FileToken;
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::source::token_text::parse_as;
use crate::token::json::Json;
use crate::token::secret_file::{FileUse, SecretFile};

/// The place where a secret is. It is read each time the secret is needed, so that a changed secret is noticed.
#[derive(Clone)]
pub(super) enum SecretRef {
    /// `env:NAME`
    Environment(String),
    /// `file:/path`
    File(SecretFile),
    /// `command:program argument …`
    Command(Box<CommandToken>),
    /// `keyring:service/user`
    Keyring { service: String, user: String },
    /// The file that a variable of the platform names. The hint says what it means if the variable is missing.
    FileOfVariable {
        name: &'static str,
        hint: &'static str,
    },
    /// A text in the JSON at another place: a JSON pointer (RFC 6901).
    Member {
        of: Box<SecretRef>,
        pointer: &'static str,
    },
}

impl SecretRef {
    /// The forms of a reference, for messages.
    pub(super) const FORMS: &str =
        "`env:NAME`, `file:/path`, `command:program argument` or `keyring:service/user`";

    /// Parses a reference. The error message does not quote the text, which may be the secret itself.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) => Ok(parse_variable(name)?),
            Some(("file", path)) => {
                let path = absolute(path)?;
                Ok(Self::File(SecretFile::new(path, FileUse::Secret)))
            }
            Some(("command", line)) => parse_command(line),
            Some(("keyring", entry)) => Ok(parse_keyring_entry(entry)?),
            Some(("profile", _)) => Err(
                "names a profile, which only a place for a token may do; give the place of the secret".to_owned(),
            ),
            _ => Err(format!(
                "is a secret, which must not be in this file; give the place where it is: {}",
                Self::FORMS
            )),
        }
    }

    /// Whether a text is meant as a reference.
    pub(super) fn is_reference(text: &str) -> bool {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        matches!(
            scheme,
            Some("env" | "file" | "command" | "keyring" | "profile")
        )
    }

    /// The text at a pointer of the JSON at this place.
    pub(super) fn member(of: &Self, pointer: &'static str) -> Self {
        let of = Box::new(of.clone());
        Self::Member { of, pointer }
    }

    /// Whether it is an environment variable.
    pub(super) fn is_variable(&self) -> bool {
        matches!(self, Self::Environment(_))
    }

    /// Whether it is a file with a fixed name.
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// A text that differs for different references. It must not be shown, because the arguments of a command may be secrets.
    pub(super) fn identity(&self) -> String {
        match self {
            // Of a command, `Display` shows the program only.
            Self::Command(command) => format!("{self} {}", command.identity()),
            // Another file is that of another account.
            Self::FileOfVariable { name, .. } => {
                format!("{self} {:?}", env::var_os(name).unwrap_or_default())
            }
            Self::Member { of, pointer } => format!("`{pointer}` of {}", of.identity()),
            _ => self.to_string(),
        }
    }

    /// A token source that reads this place.
    pub(super) fn token_source(&self) -> Arc<dyn TokenSource> {
        match self {
            Self::Environment(name) => Arc::new(EnvToken::new(name)),
            Self::File(file) => Arc::new(FileToken::of(file.clone())),
            Self::Command(command) => Arc::new((**command).clone()),
            Self::Keyring { .. } | Self::FileOfVariable { .. } | Self::Member { .. } => {
                Arc::new(SecretToken(self.clone()))
            }
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
            Self::File(file) => {
                let file = file.clone();
                request.run_blocking(move || read_file(&file)).await?
            }
            Self::Command(command) => command.text(request).await,
            Self::Keyring { service, user } => {
                let (service, user) = (service.clone(), user.clone());
                let read = move || keyring::read(&service, &user);
                request.run_blocking(read).await?
            }
            Self::FileOfVariable { name, hint } => {
                let file = file_of_variable(name, hint)?;
                request.run_blocking(move || read_file(&file)).await?
            }
            Self::Member { of, pointer } => {
                let whole = Box::pin(of.read(request)).await?;
                member(&whole, pointer).ok_or_else(|| {
                    Error::input(format!(
                        "there is no text at `{pointer}` of the JSON in {of}; it is not the kind of file that is needed"
                    ))
                })
            }
        }?;
        // Files and the output of commands end with a line break, which is no part of the secret.
        // Editors and shells of Windows put a byte order mark in front.
        let trimmed = text.trim_start_matches('\u{feff}').trim();
        if trimmed.is_empty() {
            return Err(Error::unavailable(format!("the secret in {self} is empty")));
        }
        Ok(Zeroizing::new(trimmed.to_owned()))
    }
}

/// A token in a place that has no source of its own.
struct SecretToken(SecretRef);

impl TokenSource for SecretToken {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move {
            let text = self.0.read(request).await?;
            parse_as(text.as_bytes(), request.type_use).map_err(|fault| {
                let message = format!("the secret in {} is no token: {fault}", self.0);
                Error::new(fault.kind(), message)
            })
        })
    }
}

/// A request for a secret that no token cache makes.
pub(super) fn direct_request() -> TokenRequest {
    TokenRequest::new(TokenCacheBuilder::FETCH_TIMEOUT, Arc::new(TokioOrThreads))
}

/// Shows only the program of a command, because its arguments may be secrets.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::File(file) => write!(f, "the file {}", file.path().display()),
            Self::Command(command) => write!(f, "the command {}", command.program.display()),
            Self::Keyring { service, user } => write!(f, "the keyring ({service}/{user})"),
            Self::FileOfVariable { name, .. } => {
                write!(f, "the file that the environment variable {name} names")
            }
            Self::Member { of, pointer } => write!(f, "`{pointer}` of {of}"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({self})")
    }
}

fn parse_variable(name: &str) -> Result<SecretRef, &'static str> {
    // POSIX: names "consist solely of uppercase letters, digits, and the <underscore>" and "do not begin with a digit".
    // Programs use small letters too. A secret that is written here by mistake has other characters in most cases.
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins_with_digit = name.starts_with(|c: char| c.is_ascii_digit());
    if name.is_empty() || begins_with_digit || !name.chars().all(is_allowed) {
        return Err("does not name an environment variable; write `env:NAME`, without `$`");
    }
    Ok(SecretRef::Environment(name.to_owned()))
}

fn parse_command(line: &str) -> Result<SecretRef, String> {
    let mut words =
        shell_words::split(line).map_err(|_| "cannot be split into words; close its quotes")?;
    // A program without a slash is looked up in `PATH`, which does not depend on the current directory either.
    if let Some(program) = words.first_mut()
        && program.contains('/')
    {
        *program = absolute(program)?.to_string_lossy().into_owned();
    }
    let command = CommandToken::new(words).map_err(|error| format!("cannot be used: {error}"))?;
    Ok(SecretRef::Command(Box::new(command)))
}

fn parse_keyring_entry(entry: &str) -> Result<SecretRef, &'static str> {
    // At the last slash, because a service is often named by a URL.
    match entry.rsplit_once('/') {
        Some((service, user)) if !service.is_empty() && !user.is_empty() => {
            Ok(SecretRef::Keyring {
                service: service.to_owned(),
                user: user.to_owned(),
            })
        }
        _ => Err("does not name an entry of the keyring; write `keyring:service/user`"),
    }
}

/// A path that does not depend on the current directory.
pub(super) fn absolute(path: &str) -> Result<PathBuf, &'static str> {
    if let Some(below) = path.strip_prefix("~/") {
        let home = etcetera::home_dir();
        let home = home.map_err(|_| "begins with `~`, but there is no home directory")?;
        return Ok(home.join(below));
    }
    match Path::new(path).is_absolute() {
        true => Ok(PathBuf::from(path)),
        false => Err(
            "has a path that depends on the current directory; give it in full, or beginning with `~/`",
        ),
    }
}

fn read_variable(name: &str) -> Result<Zeroizing<String>, Error> {
    // The `VarError` is not the source of our error, because it may hold the secret.
    env::var(name).map(Zeroizing::new).map_err(|error| {
        Error::unavailable(match error {
            VarError::NotPresent => format!(
                "the environment variable {}, which should hold a secret, is not set",
                shown_name(name)
            ),
            VarError::NotUnicode(_) => format!("the environment variable {name} is not text"),
        })
    })
}

/// The file that a variable names.
fn file_of_variable(name: &str, hint: &str) -> Result<SecretFile, Error> {
    match env::var_os(name).filter(|path| !path.is_empty()) {
        Some(path) => Ok(SecretFile::new(path, FileUse::Projected)),
        None => Err(Error::unavailable(format!(
            "the environment variable {name} is not set: {hint}"
        ))),
    }
}

/// The text at a pointer of a JSON text.
fn member(json: &str, pointer: &str) -> Option<Zeroizing<String>> {
    let json: Json = serde_json::from_str(json).ok()?;
    let mut value = &json;
    for name in pointer.split('/').skip(1) {
        let Json::Object(object) = value else {
            return None;
        };
        value = object.get(name)?;
    }
    match value {
        Json::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn read_file(file: &SecretFile) -> Result<Zeroizing<String>, Error> {
    file.read()
        .map_err(|fault| fault.into_error(ErrorKind::Unavailable, "the secret in the file"))
}

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
    fn another_file_in_a_variable_is_another_reference() {
        let (name, hint) = ("CARGO_MANIFEST_DIR", "");
        let file = SecretRef::FileOfVariable { name, hint };
        let path = env!("CARGO_MANIFEST_DIR");
        assert!(file.identity().contains(path), "{}", file.identity());
        assert!(SecretRef::member(&file, "/a").identity().contains(path));
        // An error or a label shows the name only.
        assert!(!file.to_string().contains(path));
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
