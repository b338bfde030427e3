//! Sessions by name, from a file: `keyfob.toml`.
//!
//! A profile says where a token comes from and where it may go, so that programs, scripts and the command line need only its name.
//! Secrets never stand in the file, only the places where they are kept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use url::Url;

use crate::cache::cache::TokenCache;
use crate::error::error::Error;
use crate::exchange::retry::RetryPolicy;
use crate::origin::origin::Origin;
use crate::profile::dpop::Proof;
use crate::profile::errors::suggestion;
use crate::profile::file;
use crate::profile::file::Location;
use crate::profile::schema::{Definition, From, read};
use crate::profile::select::fit;

/// The profiles of one file.
///
/// ```
/// use keyfob::Profiles;
///
/// let profiles = Profiles::from_text(r#"
///     [profiles.github]
///     base_url = "https://api.github.com/"
///     token = "command:gh auth token"
/// "#)?;
/// let github = profiles.get("github")?;
/// assert_eq!(github.origins()[0].to_string(), "https://api.github.com");
/// # #[cfg(feature = "session")]
/// let session = github.session()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Profiles {
    /// The file, for messages.
    file: String,
    missing: bool,
    profiles: BTreeMap<String, Profile>,
}

impl Profiles {
    /// Reads the file that `KEYFOB_CONFIG` names, or else `keyfob/keyfob.toml` in the usual configuration directory.
    ///
    /// That directory is the one that `XDG_CONFIG_HOME` names, or `~/.config`; on Windows it is that of roaming
    /// application data. If nobody named a file and there is none, there are no profiles. The present directory is never
    /// searched, because a profile can run commands.
    ///
    /// # Errors
    ///
    /// As [`from_file`](Self::from_file).
    pub fn from_default_file() -> Result<Self, Error> {
        Self::read(&Location::usual())
    }

    /// Reads this file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if it cannot be read or every user of the machine can write it; or with
    /// every fault of the file on a line of its own, as `file:line:column: what is wrong`.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::read(&Location::Named(path.as_ref().to_owned()))
    }

    /// Reads the text of a profile file.
    ///
    /// # Errors
    ///
    /// As [`from_file`](Self::from_file).
    pub fn from_text(text: &str) -> Result<Self, Error> {
        Self::parse(text, file::FILE)
    }

    /// The file that they are from, whether it is there or not; for those of a text its usual name.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The profile of this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if there is none.
    pub fn get(&self, name: &str) -> Result<&Profile, Error> {
        self.profiles.get(name).ok_or_else(|| {
            let file = &self.file;
            let names: Vec<_> = self.profiles.keys().map(String::as_str).collect();
            Error::input(if self.missing {
                format!("there is no profile {name:?}, because {file} does not exist")
            } else if names.is_empty() {
                format!("there is no profile {name:?}: {file} has none")
            } else {
                let meant = suggestion(name, names.iter().copied());
                format!(
                    "there is no profile {name:?}{meant}; {file} has {}",
                    names.join(", ")
                )
            })
        })
    }

    /// The one profile whose token may go to the origin of this URL, if any may.
    ///
    /// Where the origin is that of several, the longest base URL that the URL lies below decides.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if several fit equally well; it names them.
    pub fn matching(&self, url: &Url) -> Result<Option<&Profile>, Error> {
        let fits = |profile: &Profile| {
            let definition = &profile.definition;
            fit(definition.base_url.as_ref(), &profile.origins, url)
        };
        let best = self.iter().filter_map(fits).max();
        let mut fitting = self
            .iter()
            .filter(|profile| best.is_some() && fits(profile) == best);
        let (first, second) = (fitting.next(), fitting.next());
        if let (Some(first), Some(second)) = (first, second) {
            return Err(Error::input(format!(
                "the URL is of the profiles {:?} and {:?} alike; say which one",
                first.name, second.name
            )));
        }
        Ok(first)
    }

    /// All profiles, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values()
    }

    fn read(location: &Location) -> Result<Self, Error> {
        let file = match location.path() {
            Some(path) => path.display().to_string(),
            None => file::FILE.to_owned(),
        };
        match location.read()? {
            Some(text) => Self::parse(&text, &file),
            None => Ok(Self {
                file,
                missing: true,
                profiles: BTreeMap::new(),
            }),
        }
    }

    fn parse(text: &str, file: &str) -> Result<Self, Error> {
        let profiles = read(text, file)?
            .into_iter()
            .map(|(name, definition)| (name.clone(), Profile::new(name, definition)));
        Ok(Self {
            file: file.to_owned(),
            missing: false,
            profiles: profiles.collect(),
        })
    }
}

/// One profile: where a token comes from, and where it may go.
///
/// Clones, and the sessions made from them, share the token.
#[derive(Clone)]
pub struct Profile {
    pub(super) name: String,
    pub(super) origins: Vec<Origin>,
    pub(super) definition: Arc<Definition>,
    tokens: Arc<OnceLock<TokenCache>>,
    pub(super) proof: Arc<Proof>,
}

impl Profile {
    fn new(name: String, mut definition: Definition) -> Self {
        if let Some(url) = &mut definition.base_url
            && !url.path().ends_with('/')
        {
            // The last segment of the path counts as a folder, as it does for sessions.
            let folder = format!("{}/", url.path());
            url.set_path(&folder);
        }
        let base = definition.base_url.as_ref();
        let mut origins: Vec<Origin> = base
            .and_then(|url| Origin::from_url(url).ok())
            .into_iter()
            .collect();
        for origin in definition.origins.iter().chain(&definition.plain_http) {
            if !origins.contains(origin) {
                origins.push(origin.clone());
            }
        }
        Self {
            name,
            origins,
            definition: Arc::new(definition),
            tokens: Arc::default(),
            proof: Arc::default(),
        }
    }

    /// Its name in the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL against which relative ones are resolved; its path ends with a slash.
    #[must_use]
    pub fn base_url(&self) -> Option<&Url> {
        self.definition.base_url.as_ref()
    }

    /// The origins that the token may go to.
    #[must_use]
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// Those of them that plain `http` is allowed to although they are not this machine.
    #[must_use]
    pub fn plain_http_origins(&self) -> &[Origin] {
        &self.definition.plain_http
    }

    /// Where the token comes from, in words: the place, or the grant and the server.
    #[must_use]
    pub fn token_from(&self) -> String {
        match &self.definition.token.from {
            From::Place(place) => place.to_string(),
            From::Grant(grant) => grant.to_string(),
        }
    }

    /// What is retried.
    #[must_use]
    pub fn retry(&self) -> &RetryPolicy {
        &self.definition.retry
    }

    /// How long nothing may move in an attempt, if the file says so.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.definition.timeout
    }

    /// How many redirects are followed, if the file says so.
    #[must_use]
    pub fn redirects(&self) -> Option<u32> {
        self.definition.redirects
    }

    /// How long getting a token may take, if the file says so.
    #[must_use]
    pub fn fetch_timeout(&self) -> Option<Duration> {
        self.definition.token.fetch_timeout
    }

    /// How long a token without an expiry is used, if the file says so.
    #[must_use]
    pub fn default_lifetime(&self) -> Option<Duration> {
        self.definition.token.default_lifetime
    }

    /// Whether its tokens are bound to a key, of which each request carries a proof (DPoP, RFC 9449).
    #[must_use]
    pub fn proves_possession(&self) -> bool {
        let grant = self.definition.token.grant();
        grant.is_some_and(|grant| grant.dpop_key.is_some())
    }

    /// The token cache of this profile, the same at every call. Nothing is fetched yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if what the profile says cannot be used.
    pub fn tokens(&self) -> Result<TokenCache, Error> {
        if let Some(tokens) = self.tokens.get() {
            return Ok(tokens.clone());
        }
        let mut cache = TokenCache::builder(self.source()?);
        if let Some(limit) = self.fetch_timeout() {
            cache = cache.fetch_timeout(limit);
        }
        if let Some(lifetime) = self.default_lifetime() {
            cache = cache.default_lifetime(lifetime);
        }
        let cache = cache.build()?;
        Ok(self.tokens.get_or_init(|| cache).clone())
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("name", &self.name)
            .field("definition", &self.definition)
            .finish_non_exhaustive()
    }
}
