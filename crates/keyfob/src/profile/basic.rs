//! The source of a user and a password that are sent as `Basic` (RFC 7617).

use std::fmt;

use futures_util::future::{OptionFuture, try_join};
use zeroize::Zeroizing;

use crate::error::error::{Error, ErrorKind};
use crate::profile::secret_ref::SecretRef;
use crate::source::file::FileToken;
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::token::token::Token;

/// A user and a password, sent as `Authorization: Basic` (RFC 7617).
///
/// Both are references to secrets, as in a [profile](crate::Profiles): `env:NAME`, `file:/path`, `command:program argument` or
/// `keyring:service/user`. They are read when a token is needed, and again when a server rejects them. While one of them is in a
/// file, that is every 10 seconds.
///
/// ```
/// use keyfob::Session;
/// use keyfob::profile::BasicToken;
///
/// let source = BasicToken::new("reports", Some("env:REPORTS_PASSWORD"))?;
/// let session = Session::builder(source).base_url("https://api.example.com/").build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct BasicToken {
    user: User,
    password: Option<SecretRef>,
}

/// The user, or where its name is.
#[derive(Clone)]
enum User {
    Name(String),
    Stored(SecretRef),
}

impl BasicToken {
    /// Takes a user and a reference to its password.
    ///
    /// The user is a name or a reference. Without a password, as for an API key that is sent as the user, it must be a reference.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if one of them is no reference. The error does not quote it.
    pub fn new(user: &str, password: Option<&str>) -> Result<Self, Error> {
        let problem = |key| move |problem| Error::input(format!("`{key}` {problem}"));
        let password = password.map(SecretRef::parse).transpose();
        let password = password.map_err(problem("password"))?;
        Self::of(user, password).map_err(problem("user"))
    }

    /// The same, with a problem that follows the name of the user's key.
    pub(super) fn of(user: &str, password: Option<SecretRef>) -> Result<Self, String> {
        // No name has a colon (RFC 7617 §2), and every reference has one. A name alone would be the whole credential.
        let user = match password.is_some() && !user.contains(':') && !user.is_empty() {
            true => User::Name(user.to_owned()),
            false => User::Stored(SecretRef::parse(user)?),
        };
        Ok(Self { user, password })
    }

    /// The references, each with its key in a profile.
    pub(super) fn secrets(&self) -> Vec<(&'static str, &SecretRef)> {
        let user = match &self.user {
            User::Name(_) => None,
            User::Stored(user) => Some(("user", user)),
        };
        let password = self.password.iter().map(|password| ("password", password));
        user.into_iter().chain(password).collect()
    }

    /// A text that differs for different settings, and must not be shown.
    pub(super) fn identity(&self) -> String {
        let password = self.password.as_ref().map(SecretRef::identity);
        match &self.user {
            User::Name(name) => format!("{name:?} {password:?}"),
            User::Stored(user) => format!("{} {password:?}", user.identity()),
        }
    }

    fn is_in_a_file(&self) -> bool {
        let mut secrets = self.secrets().into_iter();
        secrets.any(|(_, secret)| matches!(secret, SecretRef::File(_)))
    }

    async fn read(&self, request: &TokenRequest) -> Result<Token, Error> {
        let user = async {
            match &self.user {
                User::Name(name) => Ok(Zeroizing::new(name.clone())),
                User::Stored(user) => user.read(request).await,
            }
        };
        let password = self.password.as_ref().map(|secret| secret.read(request));
        let password = async { OptionFuture::from(password).await.transpose() };
        let (user, password) = try_join(user, password).await?;
        let password = password.as_ref().map_or("", |password| password.as_str());
        // The text came from outside, and a person may correct it there.
        let token = Token::basic(&user, password)
            .map_err(|error| Error::new(ErrorKind::Malformed, format!("{self}: {error}")))?;
        Ok(match self.is_in_a_file() {
            true => token.recheck_after(FileToken::RECHECK),
            false => token,
        })
    }
}

impl TokenSource for BasicToken {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(self.read(request))
    }
}

/// Says where the user and the password are.
impl fmt::Display for BasicToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            User::Name(name) => write!(f, "the user {name}")?,
            User::Stored(user) => write!(f, "the user in {user}")?,
        }
        match &self.password {
            Some(password) => write!(f, " with the password in {password}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for BasicToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BasicToken({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_a_password_in_place_of_a_reference_is_refused_and_not_quoted() {
        for (user, password) in [
            ("alice", Some("s3cret")),
            ("s3cret", None),
            ("", Some("env:P")),
            ("pa:s3cret", Some("env:P")),
        ] {
            let error = BasicToken::new(user, password).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
            assert!(
                error.starts_with("`user` ") || error.starts_with("`password` "),
                "{error}"
            );
        }
    }

    #[test]
    fn s1_it_shows_where_the_secrets_are_and_no_arguments() {
        let source = BasicToken::new("alice", Some("command:pass --key s3cret")).unwrap();
        let shown = "the user alice with the password in the command pass";
        assert_eq!(source.to_string(), shown);
    }
}
