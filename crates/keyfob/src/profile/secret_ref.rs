//! Where a secret is kept: what stands in the profile file in its place.

use std::env::VarError;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fmt, io};

use zeroize::Zeroizing;

use crate::cache::builder::TokenCacheBuilder;
use crate::error::error::Error;
#[cfg(feature = "keyring")]
use crate::profile::keyring;
#[cfg(not(feature = "keyring"))]
use crate::profile::no_keyring as keyring;
use crate::runtime::runtime::TokioOrThreads;
use crate::source::command::CommandToken;
use crate::source::source::{Reason, TokenRequest};

/// The place of a secret. The secret is read each time it is needed, so that a new one is found.
#[derive(Clone)]
pub(super) enum Reference {
    /// `env:NAME`
    Environment(String),
    /// `file:/path`
    File(PathBuf),
    /// `command:program argument …`
    Command(Box<CommandToken>),
    /// `keyring:service/user`
    Keyring { service: String, user: String },
}

impl Reference {
    /// How a reference is written.
    pub(super) const FORMS: &str =
        "`env:NAME`, `file:/path`, `command:program argument` or `keyring:service/user`";

    /// Reads a reference; the fault says what to do and quotes nothing, since it may be the secret itself.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) => variable(name),
            Some(("file", path)) => file(path),
            Some(("command", line)) => command(line),
            Some(("keyring", entry)) => keyring_entry(entry),
            _ => Err(format!(
                "is a secret, which must not stand in this file; say where it is kept: {}",
                Self::FORMS
            )),
        }
    }

    /// The reference in full, to tell it from others; not to be shown, because people put secrets into arguments.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::Command(command) => format!("{self} {:?}", command.words()),
            _ => self.to_string(),
        }
    }

    /// The same outside of a request for a token, with the time that one would have.
    pub(super) async fn read_now(&self) -> Result<Zeroizing<String>, Error> {
        self.read(&unasked()).await
    }

    /// The secret as it is kept, without white space at its ends.
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

/// A request that no cache makes.
pub(super) fn unasked() -> TokenRequest {
    TokenRequest::new(
        Reason::Missing,
        TokenCacheBuilder::FETCH_TIMEOUT,
        Arc::new(TokioOrThreads),
        0,
    )
}

/// The place; of a command only the program, because people put secrets into arguments.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Command(command) => write!(f, "the command {}", command.program().display()),
            Self::Keyring { service, user } => write!(f, "the keyring ({service}/{user})"),
        }
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}

fn variable(name: &str) -> Result<Reference, String> {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(letter)
    {
        return Err("names no environment variable; write `env:NAME`, without `$`".into());
    }
    Ok(Reference::Environment(name.to_owned()))
}

fn file(path: &str) -> Result<Reference, String> {
    Ok(Reference::File(anchored(path)?))
}

fn command(line: &str) -> Result<Reference, String> {
    let words = shell_words::split(line)
        .map_err(|_| "cannot be split into words; close its quotes".to_owned())?;
    command_of(words).map(|command| Reference::Command(Box::new(command)))
}

/// A command whose program is found from wherever keyfob is run.
pub(super) fn command_of(mut words: Vec<String>) -> Result<CommandToken, String> {
    if let Some(program) = words.first_mut()
        && program.contains('/')
    {
        *program = anchored(program)?.to_string_lossy().into_owned();
    }
    CommandToken::new(words).map_err(|fault| format!("cannot be used: {fault}"))
}

fn keyring_entry(entry: &str) -> Result<Reference, String> {
    match entry.rsplit_once('/') {
        Some((service, user)) if !service.is_empty() && !user.is_empty() => {
            Ok(Reference::Keyring {
                service: service.to_owned(),
                user: user.to_owned(),
            })
        }
        _ => Err("names no entry of the keyring; write `keyring:service/user`".into()),
    }
}

/// A path that means the same wherever keyfob is run.
pub(super) fn anchored(path: &str) -> Result<PathBuf, String> {
    if let Some(below) = path.strip_prefix("~/") {
        let home = etcetera::home_dir()
            .map_err(|_| "begins with `~`, and there is no home directory".to_owned())?;
        return Ok(home.join(below));
    }
    if !Path::new(path).is_absolute() {
        return Err(
            "has a path that depends on where keyfob is run; give it in full, or from `~/` on"
                .into(),
        );
    }
    Ok(PathBuf::from(path))
}

fn read_variable(name: &str) -> Result<Zeroizing<String>, Error> {
    // Its text is not the error's source, because it may be the secret.
    env::var(name).map(Zeroizing::new).map_err(|fault| {
        Error::unavailable(match fault {
            VarError::NotPresent => {
                format!("the environment variable {name} is not set; it is where a secret is kept")
            }
            VarError::NotUnicode(_) => format!("the environment variable {name} is not text"),
        })
    })
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, Error> {
    read_whole(path).map_err(|fault| {
        let what = match fault.kind() {
            io::ErrorKind::NotFound => "does not exist",
            io::ErrorKind::PermissionDenied => "may not be read by this user",
            io::ErrorKind::InvalidData => "is not text, or longer than 1 MiB",
            _ => "cannot be read",
        };
        let shown = path.display();
        Error::unavailable(format!("the file {shown}, where a secret is kept, {what}"))
            .caused_by(fault)
    })
}

fn read_whole(path: &Path) -> io::Result<Zeroizing<String>> {
    let file = File::open(path)?;
    // Room for a usual secret, so that no copy is left behind by a buffer that grew.
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
    fn s1_a_secret_in_plain_is_refused_and_not_quoted() {
        for text in [
            "s3cret",
            "pa:s3cret",
            "",
            "ENV:s3cret",
            "env",
            "env:$s3cret",
            "env:s3 cret",
        ] {
            let says = Reference::parse(text).unwrap_err();
            assert!(!says.contains("s3cret"), "{says}");
        }
    }

    #[test]
    fn a_path_means_the_same_wherever_it_is_read() {
        for text in [
            "file:secret",
            "file:./secret",
            "command:./helper",
            "command:bin/helper x",
        ] {
            let says = Reference::parse(text).unwrap_err();
            assert!(says.contains("in full"), "{text}: {says}");
        }
        for text in [
            "file:/run/secret",
            "file:~/secret",
            "command:/bin/helper",
            "command:gh auth",
        ] {
            assert!(Reference::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn s1_arguments_of_a_command_are_not_shown() {
        let reference = Reference::parse("command:helper --key s3cret").unwrap();
        assert_eq!(format!("{reference:?}"), "Reference(the command helper)");
    }

    #[test]
    fn a_command_whose_quotes_are_open_is_refused() {
        assert!(
            Reference::parse("command:helper 'a")
                .unwrap_err()
                .contains("quotes")
        );
    }
}
