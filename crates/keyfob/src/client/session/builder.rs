//! The settings of a session, async or blocking.

use std::fmt;
#[cfg(feature = "rustls")]
use std::path::Path;
use std::time::Duration;

use url::Url;

use crate::cache::cache::TokenCache;
use crate::client::session::send::Sender;
use crate::client::settings::{ClientSettings, settings_setters};
use crate::error::error::Error;
use crate::exchange::exchange::Exchange;
use crate::exchange::proof::RequestProof;
use crate::exchange::retry::RetryPolicy;
#[cfg(feature = "rustls")]
use crate::origin::ca_file::{TlsClient, trust_file};
use crate::origin::ca_file::{Trust, client_not_made};
use crate::origin::loopback::{EnvironmentProxies, PinNames};
use crate::origin::origin::{LocalNames, Origin, parse_url};

/// Makes a session with settings of your own.
///
/// ```
/// use std::time::Duration;
/// use keyfob::{EnvToken, RetryPolicy, Session};
///
/// let session = Session::builder(EnvToken::new("API_TOKEN"))
///     .base_url("https://api.example.com/v1/")
///     .origin("https://uploads.example.com")
///     .timeout(Duration::from_secs(5))
///     .retry(RetryPolicy::default().attempts(6))
///     .build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[must_use]
pub struct SessionBuilder<C = reqwest::ClientBuilder> {
    settings: ClientSettings,
    client: C,
    /// A client for plain http to this machine; `None` if the client is the user's own.
    direct: Option<C>,
    uses_no_proxy: bool,
    base: Option<Url>,
    redirects: u32,
    trust: Option<Trust<C>>,
}

impl<C> SessionBuilder<C> {
    pub(crate) fn new(tokens: TokenCache, client: C, direct: C) -> Self {
        let mut settings = ClientSettings::new(tokens);
        settings.origins.set_local_names(LocalNames::All);
        Self {
            settings,
            client,
            direct: Some(direct),
            uses_no_proxy: false,
            base: None,
            redirects: Exchange::REDIRECTS,
            trust: None,
        }
    }

    /// Resolves relative URLs against this one, and binds the credential to its origin.
    ///
    /// The last segment of the path counts as a folder, with or without a slash at the end.
    pub fn base_url(mut self, url: impl AsRef<str>) -> Self {
        let base = parse_url(url.as_ref()).and_then(as_base);
        let origins = &mut self.settings.origins;
        if let Some((url, origin)) = origins.accept(base) {
            origins.bind(Ok(origin));
            self.base = Some(url);
        }
        self
    }

    settings_setters!();

    /// Sets how many redirects are followed; [`Session::REDIRECTS`](crate::Session::REDIRECTS) unless set.
    ///
    /// With zero, redirects are returned to the caller. A redirect to another origin carries no credential, and neither do
    /// those that follow it.
    pub fn redirects(mut self, redirects: u32) -> Self {
        self.redirects = redirects;
        self
    }

    /// Trusts the certificate authorities in this file (PEM) and no others, for a server with a certificate of your own.
    ///
    /// The file is read now. If it is missing, empty or not in PEM, `build` returns
    /// [`ErrorKind::Input`](crate::ErrorKind::Input), and the error names the file. Without this setting the authorities of the
    /// system are trusted, or those in the file that the environment variable `SSL_CERT_FILE` names. It applies to a
    /// [`client`](Self::client) of your own too. An OAuth client has [the same setting](crate::oauth::ClientBuilder::ca_file).
    #[cfg(feature = "rustls")]
    pub fn ca_file(mut self, path: impl AsRef<Path>) -> Self
    where
        C: TlsClient,
    {
        let trust = trust_file(path.as_ref());
        self.trust = self.settings.origins.accept(trust);
        self
    }

    /// Uses a client of your own making: proxies, certificates, default headers.
    ///
    /// The session follows redirects itself, and replaces the redirect policy of the client. The client's default headers go
    /// wherever a redirect leads: set a secret on the request instead.
    ///
    /// Plain http to this machine is refused if a proxy of the environment would get it, and the credential with it; see
    /// [`client_uses_no_proxy`](Self::client_uses_no_proxy). A proxy that is set on the client cannot be seen: do not send
    /// plain http through one. The names of this machine that the session is bound to, and `localhost`, are resolved to
    /// loopback addresses; plain http to any other name below `localhost` is refused.
    pub fn client(mut self, client: C) -> Self {
        self.client = client;
        self.direct = None;
        self.settings.origins.set_local_names(LocalNames::Bound);
        self
    }

    /// Records that the [`client`](Self::client) was built with `no_proxy`, so that it ignores the environment's proxies.
    pub fn client_uses_no_proxy(mut self) -> Self {
        self.uses_no_proxy = true;
        self
    }

    pub(crate) fn into_sender<B>(
        self,
        build: impl Fn(C, Duration) -> Result<B, reqwest::Error>,
    ) -> Result<Sender<B>, Error>
    where
        C: PinNames,
    {
        let timeout = self.settings.timeout;
        let mut rules = self.settings.into_rules()?;
        let trust = self.trust.unwrap_or_else(|| Box::new(|client| client));
        let build = |client| build(trust(client), timeout).map_err(client_not_made);
        let origins = rules.authenticator.origins();
        let client = match &self.direct {
            Some(_) => self.client,
            None => self.client.pin_names(origins),
        };
        let direct = self.direct.filter(|_| origins.allows_loopback_http());
        if direct.is_none() && !self.uses_no_proxy && origins.allows_loopback_http() {
            rules.proxies = Some(EnvironmentProxies::read());
        }
        Ok(Sender {
            client: build(client)?,
            direct: direct.map(build).transpose()?,
            rules,
            base: self.base,
            redirects: self.redirects,
        })
    }
}

impl<C> fmt::Debug for SessionBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBuilder")
            .field("settings", &self.settings)
            .field("redirects", &self.redirects)
            .finish_non_exhaustive()
    }
}

/// A base URL whose last segment is a folder, and its origin.
fn as_base(mut url: Url) -> Result<(Url, Origin), Error> {
    let origin = Origin::from_url(&url)?;
    if !url.path().ends_with('/') {
        let folder = format!("{}/", url.path());
        url.set_path(&folder);
    }
    Ok((url, origin))
}
