//! The settings of a session, async or blocking.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::cache::cache::TokenCache;
use crate::client::session::send::Sender;
use crate::client::settings::{ClientSettings, settings_setters};
use crate::error::error::Error;
use crate::exchange::exchange::Exchange;
use crate::exchange::proof::RequestProof;
use crate::exchange::reqwest_failure::proxy::ProxiesFrom;
use crate::exchange::retry::RetryPolicy;
use crate::origin::ca_file::{Trust, client_not_made};
use crate::origin::certified_client::{Certificate, CertifiedClient};
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
    /// Begins a client of keyfob's own.
    fresh: fn() -> C,
    /// As `fresh`, for plain http to this machine.
    fresh_direct: fn() -> C,
    /// The user's own client.
    client: Option<C>,
    uses_no_proxy: bool,
    base: Option<Url>,
    redirects: u32,
    trust: Option<Trust<C>>,
    certificate: Option<Arc<dyn Certificate<C>>>,
}

impl<C> SessionBuilder<C> {
    pub(crate) fn new(tokens: TokenCache, fresh: fn() -> C, fresh_direct: fn() -> C) -> Self {
        let mut settings = ClientSettings::new(tokens);
        settings.origins.set_local_names(LocalNames::All);
        Self {
            settings,
            fresh,
            fresh_direct,
            client: None,
            uses_no_proxy: false,
            base: None,
            redirects: Exchange::REDIRECTS,
            trust: None,
            certificate: None,
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
        self.client = Some(client);
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
        build: impl Fn(C, Duration) -> Result<B, reqwest::Error> + Send + Sync + 'static,
    ) -> Result<Sender<B>, Error>
    where
        B: Clone + 'static,
        C: PinNames + 'static,
    {
        let timeout = self.settings.timeout;
        let mut rules = self.settings.into_rules()?;
        let trust = self.trust.unwrap_or_else(|| Box::new(|client| client));
        let build = Arc::new(move |client| build(trust(client), timeout).map_err(client_not_made));
        let origins = rules.authenticator.origins();
        let is_own = self.client.is_some();
        let certified = match self.certificate {
            Some(_) if is_own => {
                return Err(Error::input(
                    "a client of your own presents a certificate of its own; give it the certificate, and leave out \
                 `client_certificate`",
                ));
            }
            Some(certificate) => {
                let build = Arc::clone(&build);
                let finish = move |client| build(client);
                Some(CertifiedClient::new(certificate, self.fresh, finish)?)
            }
            None => None,
        };
        let client = match self.client {
            Some(client) => client.pin_names(origins),
            None => (self.fresh)(),
        };
        let needs_direct = !is_own && origins.allows_loopback_http();
        if is_own && !self.uses_no_proxy && origins.allows_loopback_http() {
            rules.proxies = Some(EnvironmentProxies::read());
        }
        Ok(Sender {
            client: build(client)?,
            direct: needs_direct
                .then(|| build((self.fresh_direct)()))
                .transpose()?,
            certified,
            proxies: match is_own {
                true => ProxiesFrom::Application,
                false => ProxiesFrom::Environment,
            },
            rules,
            base: self.base,
            redirects: self.redirects,
        })
    }
}

/// What a session trusts, and what it presents.
#[cfg(feature = "rustls")]
mod certificates {
    use std::path::Path;
    use std::sync::Arc;

    use super::SessionBuilder;
    use crate::origin::ca_file::{TlsClient, trust_file};
    use crate::origin::client_certificate::ClientCertificate;

    impl<C: TlsClient> SessionBuilder<C> {
        /// Trusts the certificate authorities in this file (PEM) and no others, for a server with a certificate of your own.
        ///
        /// The file is read now. If it is missing, empty or not in PEM, `build` returns
        /// [`ErrorKind::Input`](crate::ErrorKind::Input), and the error names the file. Without this setting the authorities of the
        /// system are trusted, or those in the file that the environment variable `SSL_CERT_FILE` names. It applies to a
        /// [`client`](Self::client) of your own too. An OAuth client has [the same setting](crate::oauth::ClientBuilder::ca_file).
        pub fn ca_file(mut self, path: impl AsRef<Path>) -> Self {
            let trust = trust_file(path.as_ref());
            self.trust = self.settings.origins.accept(trust);
            self
        }

        /// Presents this certificate to the servers that the credential may go to, if they ask for one in the TLS handshake.
        ///
        /// A server that a redirect leads to, and that the credential does not go to, does not see it. If the files of the
        /// certificate change, the next request goes over a new connection with the new one; see [`ClientCertificate`]. A
        /// [`client`](Self::client) of your own has a certificate of its own, so `build` refuses the two together.
        pub fn client_certificate(mut self, certificate: &ClientCertificate) -> Self {
            self.certificate = Some(Arc::new(certificate.clone()));
            self
        }
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
