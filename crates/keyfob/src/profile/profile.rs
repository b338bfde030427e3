//! The profiles of a file, and what each of them says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use url::Url;

use crate::cache::builder::TokenCacheBuilder;
use crate::cache::cache::TokenCache;
use crate::error::error::Error;
use crate::error::shown_name::shown_name;
use crate::exchange::retry::RetryPolicy;
use crate::oauth::dpop::DpopProver;
use crate::origin::client_certificate::ClientCertificate;
use crate::origin::origin::Origin;
use crate::profile::client_certificate::{CertificateSettings, PresentedTo};
use crate::profile::errors::suggestion;
use crate::profile::find;
use crate::profile::find::{FILE, file_of_environment, score};
use crate::profile::lazy_store::OpenedStore;
use crate::profile::schema::proxy::ProxySettings;
use crate::profile::schema::{Definition, read};
use crate::profile::set_each::SetEach;
use crate::profile::shared_clients::SharedClients;
use crate::runtime::block_on::block_on;

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
/// let session = github.session()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Profiles {
    /// The path of the file, for messages.
    file: String,
    is_missing: bool,
    profiles: BTreeMap<String, Profile>,
    proxy: Option<ProxySettings>,
}

impl Profiles {
    /// Reads the file that `KEYFOB_CONFIG` names, or the default file.
    ///
    /// The default file is `keyfob/keyfob.toml` in the configuration directory: `XDG_CONFIG_HOME`, or else `~/.config`; on Windows,
    /// the directory of roaming application data. If the default file is missing, there are no profiles. The current directory
    /// is never searched, because a profile can run commands.
    ///
    /// # Errors
    ///
    /// As [`from_file`](Self::from_file).
    pub fn from_default_file() -> Result<Self, Error> {
        if let Some(path) = file_of_environment() {
            return Self::read(&path);
        }
        match find::default_file() {
            // If this check fails, reading fails as well, and reports the cause.
            Some(path) if path.try_exists().unwrap_or(true) => Self::read(&path),
            // Only the default file may be missing. A user who names a file means it to be read.
            path => Ok(Self {
                file: path.map_or_else(|| FILE.to_owned(), |path| path.display().to_string()),
                is_missing: true,
                profiles: BTreeMap::new(),
                proxy: None,
            }),
        }
    }

    /// The path of the file that [`from_default_file`](Self::from_default_file) reads, which may be missing.
    ///
    /// `None` if there is no configuration directory, as in a process without a home.
    #[must_use]
    pub fn default_file() -> Option<PathBuf> {
        file_of_environment().or_else(find::default_file)
    }

    /// Reads this file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the file cannot be read, if its group or other users can write it, if it or
    /// a link to it belongs to another user, or if it has mistakes. The message then has one line for each mistake: `file:line:column: what is wrong`.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let profiles = Self::read(path)?;
        Ok(profiles.with(|definition| definition.with_option("--config", path)))
    }

    fn read(path: &Path) -> Result<Self, Error> {
        Self::parse(&find::read(path)?, &path.display().to_string())
    }

    /// Reads the text of a profile file.
    ///
    /// # Errors
    ///
    /// As [`from_file`](Self::from_file).
    pub fn from_text(text: &str) -> Result<Self, Error> {
        Self::parse(text, FILE)
    }

    /// The path of the file, even if the file is missing; `keyfob.toml` for [`from_text`](Self::from_text).
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
        self.profiles.get(name).ok_or_else(|| self.no_such(name))
    }

    fn no_such(&self, name: &str) -> Error {
        let file = &self.file;
        let shown = shown_name(name);
        let names: Vec<_> = self.profiles.keys().map(String::as_str).collect();
        Error::input(if self.is_missing {
            format!("there is no profile {shown:?}, because {file} does not exist")
        } else if names.is_empty() {
            format!("there is no profile {shown:?}: {file} has none")
        } else {
            let suggestion = suggestion(name, names.iter().copied());
            let names = names.join(", ");
            format!("there is no profile {shown:?}{suggestion}; {file} has {names}")
        })
    }

    /// The profile whose token may be sent to this URL; `None` if there is none.
    ///
    /// If several profiles have the URL's origin, the one with the longest base URL that covers the URL is taken.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if several profiles fit equally well; the message names two of them.
    pub fn matching(&self, url: &Url) -> Result<Option<&Profile>, Error> {
        let score = |profile: &Profile| score(profile.base_url(), profile.origins(), url);
        let Some(best) = self.iter().filter_map(score).max() else {
            return Ok(None);
        };
        let mut fitting = self.iter().filter(|profile| score(profile) == Some(best));
        let (first, second) = (fitting.next(), fitting.next());
        // No guess: the wrong one of two tokens would show one account's requests to another.
        if let (Some(first), Some(second)) = (first, second) {
            return Err(Error::input(format!(
                "the profiles {:?} and {:?} fit the URL equally well; name one of them",
                first.name(),
                second.name()
            )));
        }
        Ok(first)
    }

    /// The same profiles with this CA file, which takes precedence over the file's `ca_file`; see
    /// [`Profile::with_ca_file`].
    #[must_use]
    pub fn with_ca_file(self, path: impl AsRef<Path>) -> Self {
        self.with(|definition| definition.with_given_ca_file(path.as_ref()))
    }

    /// The same profiles with changed definitions.
    fn with(mut self, change: impl Fn(Definition) -> Definition) -> Self {
        let definitions = self.profiles.values().map(|profile| {
            let definition = Definition::clone(&profile.definition);
            Arc::new(change(definition))
        });
        self.profiles = linked(definitions);
        self
    }

    /// The same profiles with this client certificate; see [`Profile::with_client_certificate`].
    #[must_use]
    pub fn with_client_certificate(mut self, certificate: &ClientCertificate) -> Self {
        for profile in self.profiles.values_mut() {
            *profile = profile.with_client_certificate(certificate);
        }
        self
    }

    /// All profiles, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values()
    }

    /// The settings of `keyfob proxy`, if the file has the table `[proxy]`.
    #[must_use]
    pub fn proxy(&self) -> Option<&ProxySettings> {
        self.proxy.as_ref()
    }

    fn parse(text: &str, file: &str) -> Result<Self, Error> {
        let document = read(text, file)?;
        Ok(Self {
            file: file.to_owned(),
            is_missing: false,
            profiles: linked(document.profiles.into_iter().map(Arc::new)),
            proxy: document.proxy,
        })
    }
}

/// Makes the profiles, each after those whose tokens its links are. So they share one cache.
fn linked(definitions: impl Iterator<Item = Arc<Definition>>) -> BTreeMap<String, Profile> {
    let mut waiting: Vec<_> = definitions.collect();
    let mut profiles = BTreeMap::<String, Profile>::new();
    // There is no circle, so each round makes a profile at least.
    while !waiting.is_empty() {
        waiting.retain(|definition| {
            let names = definition.token.profiles().into_iter();
            let found = names.map(|other| {
                let profile = profiles.get(&other.name)?.clone();
                Some((other.name.clone(), profile))
            });
            let Some(linked) = found.collect::<Option<_>>() else {
                return true;
            };
            let profile = Profile {
                definition: Arc::clone(definition),
                linked: Arc::new(linked),
                tokens: Arc::default(),
                opened_store: OpenedStore::default(),
                clients: SharedClients::default(),
            };
            profiles.insert(definition.name.clone(), profile);
            false
        });
    }
    profiles
}

/// One profile: where a token comes from, and which servers it may be sent to.
///
/// Clones of a profile, and all sessions made from them, share one token cache.
///
/// [`Profiles`](crate::Profiles) has an example.
#[derive(Clone, Debug)]
pub struct Profile {
    pub(super) definition: Arc<Definition>,
    /// The profiles whose tokens its links are.
    pub(super) linked: Arc<BTreeMap<String, Profile>>,
    pub(super) tokens: Arc<OnceLock<TokenCache>>,
    /// The store, also of the profiles that this one makes for the keys of a pool.
    pub(super) opened_store: OpenedStore,
    /// The clients, which these profiles share too.
    pub(super) clients: SharedClients,
}

impl Profile {
    /// The name of the profile in the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// The URL that relative URLs are resolved against; its path ends with a slash.
    #[must_use]
    pub fn base_url(&self) -> Option<&Url> {
        self.definition.base_url.as_ref()
    }

    /// The origins that the token may be sent to.
    #[must_use]
    pub fn origins(&self) -> &[Origin] {
        &self.definition.origins
    }

    /// The origins on other machines that the token may be sent to over plain `http`.
    #[must_use]
    pub fn plain_http_origins(&self) -> &[Origin] {
        &self.definition.plain_http
    }

    /// Where the token comes from, in words: a place, or a grant and its server.
    #[must_use]
    pub fn token_from(&self) -> String {
        self.definition.token.from.to_string()
    }

    /// What errors call the token.
    pub(super) fn token_name(&self) -> String {
        let name = self.definition.token.name.unwrap_or("the token");
        format!("{name} of the profile `{}`", self.name())
    }

    /// The profile whose token a link of this one is.
    pub(super) fn linked(&self, name: &str) -> &Self {
        self.linked
            .get(name)
            .expect("references were checked when the file was read")
    }

    /// Which failures are retried.
    #[must_use]
    pub fn retry(&self) -> &RetryPolicy {
        &self.definition.retry
    }

    /// The statuses that mean a rejected token, in addition to 401; empty unless the file sets them.
    #[must_use]
    pub fn rejected_statuses(&self) -> &[StatusCode] {
        &self.definition.rejected_statuses
    }

    /// The environment variables in which programs expect the token, as `keyfob run` sets them; empty unless the file names some.
    #[must_use]
    pub fn variables(&self) -> &[String] {
        &self.definition.variables
    }

    /// How a value begins that a program accepts as a token, if the file sets it.
    #[must_use]
    pub fn stand_in_prefix(&self) -> Option<&str> {
        self.definition.stand_in_prefix.as_deref()
    }

    /// The environment variables that have secrets of the profile. A program that must not know them is started without these.
    #[must_use]
    pub fn secret_variables(&self) -> &[String] {
        &self.definition.secret_variables
    }

    /// The paths of inherited descriptors, such as `/dev/fd/3`, that the profile and those it takes tokens from read secrets from.
    ///
    /// A program that must not know the secrets would inherit the descriptors.
    #[must_use]
    pub fn secret_descriptors(&self) -> Vec<&str> {
        let linked = self.linked.values().flat_map(Self::secret_descriptors);
        let own = self.definition.secret_descriptors.iter();
        own.map(String::as_str).chain(linked).collect()
    }

    /// The timeout of an attempt, if the file sets it.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.definition.timeout
    }

    /// How many redirects are followed, if the file sets it.
    #[must_use]
    pub fn redirects(&self) -> Option<u32> {
        self.definition.redirects
    }

    /// The file with the certificate authorities that are trusted in place of the system's, if the profile has one.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.definition.ca_file.as_deref()
    }

    /// The same profile with this CA file, for its own server and for the server that issues its tokens.
    ///
    /// It has a token cache of its own. If the file cannot be used, [`session`](Self::session) and [`tokens`](Self::tokens)
    /// return an error that names it.
    ///
    /// ```
    /// use keyfob::Profiles;
    ///
    /// let profiles = Profiles::from_text(r#"
    ///     [profiles.ehr]
    ///     base_url = "https://ehr.example.com/"
    ///     token = "env:EHR_TOKEN"
    /// "#)?;
    /// let ehr = profiles.get("ehr")?.with_ca_file("/etc/ssl/our-authority.pem");
    /// assert_eq!(ehr.ca_file().unwrap(), "/etc/ssl/our-authority.pem");
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    #[must_use]
    pub fn with_ca_file(&self, path: impl Into<PathBuf>) -> Self {
        let definition = Definition::clone(&self.definition);
        let path: PathBuf = path.into();
        Self {
            definition: Arc::new(definition.with_given_ca_file(&path)),
            linked: Arc::clone(&self.linked),
            tokens: Arc::default(),
            opened_store: OpenedStore::default(),
            clients: SharedClients::default(),
        }
    }

    /// The certificate that the profile's own servers see (RFC 8705), read at the first call; `None` if it has none for them.
    ///
    /// The sessions of the profile have it already.
    ///
    /// # Errors
    ///
    /// As [`ClientCertificate::from_files`], and any error of reading the key's passphrase.
    pub fn client_certificate(&self) -> Result<Option<ClientCertificate>, Error> {
        match &self.definition.client_certificate {
            Some(files) => block_on(files.certificate()).map(Some),
            None => Ok(None),
        }
    }

    /// The same profile with this client certificate, for its own servers and for the server that issues its tokens.
    ///
    /// It has a token cache of its own. It takes precedence over the file's `client_certificate`.
    #[must_use]
    pub fn with_client_certificate(&self, certificate: &ClientCertificate) -> Self {
        let (file, key) = certificate.files();
        let definition = Definition::clone(&self.definition)
            .with_option("--cert", file)
            .with_option("--key", key);
        Self {
            definition: Arc::new(definition.with_client_certificate(CertificateSettings {
                files: certificate.into(),
                presented_to: PresentedTo::Both,
            })),
            linked: Arc::clone(&self.linked),
            tokens: Arc::default(),
            opened_store: OpenedStore::default(),
            clients: SharedClients::default(),
        }
    }

    /// The same profile for the child of a `fork`: it shares no token cache with this one, and neither do the profiles of its links.
    ///
    /// A lock that another thread held during the fork stays locked in the child.
    #[must_use]
    pub fn forked(&self) -> Self {
        self.forked_once(&mut Vec::new())
    }

    /// A profile to which several links lead is forked once, because they share one cache.
    fn forked_once(&self, forked: &mut Vec<(Arc<OnceLock<TokenCache>>, Self)>) -> Self {
        let mut done = forked.iter();
        if let Some((_, profile)) = done.find(|(tokens, _)| Arc::ptr_eq(tokens, &self.tokens)) {
            return profile.clone();
        }
        let links = self.linked.iter();
        let links = links.map(|(name, profile)| (name.clone(), profile.forked_once(forked)));
        let profile = Self {
            definition: Arc::clone(&self.definition),
            linked: Arc::new(links.collect()),
            tokens: Arc::default(),
            opened_store: OpenedStore::default(),
            clients: SharedClients::default(),
        };
        forked.push((Arc::clone(&self.tokens), profile.clone()));
        profile
    }

    /// How long fetching a token may take, if the file sets it.
    #[must_use]
    pub fn fetch_timeout(&self) -> Option<Duration> {
        self.definition.token.fetch_timeout
    }

    /// How long a token without an expiry is used, if the file sets it.
    #[must_use]
    pub fn default_lifetime(&self) -> Option<Duration> {
        self.definition.token.default_lifetime
    }

    /// True if the tokens are bound to a key, and each request carries a proof of it (DPoP, RFC 9449).
    #[must_use]
    pub fn proves_possession(&self) -> bool {
        let grant = self.definition.token.grant();
        grant.is_some_and(|grant| grant.dpop_key.is_some())
    }

    /// What proves possession of the key that the tokens are bound to; `None` if they are bound to none. It reads the key.
    ///
    /// Give it to a layer, a middleware or an [`Authenticator`](crate::custom_client::Authenticator) that sends the tokens.
    /// The sessions of the profile have it already.
    ///
    /// # Errors
    ///
    /// Any error of reading the key.
    pub fn dpop_prover(&self) -> Result<Option<DpopProver>, Error> {
        match self.definition.token.grant() {
            Some(grant) => block_on(grant.prover()),
            None => Ok(None),
        }
    }

    /// The token cache of this profile, the same one at each call. Nothing is fetched yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if a setting of the profile cannot be used.
    pub fn tokens(&self) -> Result<TokenCache, Error> {
        if let Some(tokens) = self.tokens.get() {
            return Ok(tokens.clone());
        }
        let cache = TokenCache::builder(self.source()?)
            .set_each(self.fetch_timeout(), TokenCacheBuilder::fetch_timeout)
            .set_each(self.default_lifetime(), TokenCacheBuilder::default_lifetime)
            .build()?;
        // If two threads come here at once, both get the cache of the first.
        Ok(self.tokens.get_or_init(|| cache).clone())
    }
}
