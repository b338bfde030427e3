//! The origin of a URL, and the set of origins that may receive one credential.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use crate::error::error::Error;

/// A scheme, host and port, to which a credential is bound (RFC 6454 §4).
///
/// Two URLs have the same origin if they have the same scheme, host and port; path and query do not count.
///
/// ```
/// use keyfob::Origin;
///
/// let origin: Origin = "https://API.example.com/v1?x=1".parse()?;
/// assert_eq!(origin.to_string(), "https://api.example.com");
/// assert_eq!(origin, "https://api.example.com:443".parse()?);
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    pub(super) scheme: Scheme,
    pub(super) host: Host<String>,
    pub(super) port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Origin {
    /// Returns the origin of an absolute URL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the scheme is neither `http` nor `https`, or there is no host.
    pub fn from_url(url: &Url) -> Result<Self, Error> {
        let scheme = Scheme::named(url.scheme())?;
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(Error::input(
                "the URL has no host; give it in full, such as https://api.example.com",
            ));
        };
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port,
        })
    }

    /// Whether the scheme is `https`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// Whether the host is this machine: `localhost` (RFC 6761 §6.3) or a loopback address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Whether this is plain http to this machine, which needs no encryption.
    pub(crate) fn is_plain_loopback(&self) -> bool {
        !self.is_https() && self.is_loopback()
    }
}

impl Scheme {
    pub(super) fn named(name: &str) -> Result<Self, Error> {
        match name {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            other => Err(Error::input(format!(
                "the URL has the scheme `{other}`; only http and https can carry a credential"
            ))),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub(super) fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl FromStr for Origin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::from_url(&parse_url(text)?)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

/// The set of origins that may receive one credential.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// Empty means any https origin that the caller itself names.
    pub(super) bound: Vec<Origin>,
    /// The bound origins as text, each the beginning of a URL in normal form.
    pub(super) written: Vec<String>,
    plain_http: Vec<Origin>,
}

impl Origins {
    /// Adds an origin. Once there is one, only added origins are allowed.
    pub fn bind(&mut self, origin: Origin) {
        if !self.bound.contains(&origin) {
            self.written.push(origin.to_string());
            self.bound.push(origin);
        }
    }

    /// Allows plain `http` to one origin outside this machine.
    pub fn allow_plain_http(&mut self, origin: Origin) {
        self.plain_http.push(origin);
    }

    /// The origins that were added.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.bound.iter()
    }

    /// Whether plain `http` to this origin was [allowed](Self::allow_plain_http).
    #[must_use]
    pub fn allows_plain_http_to(&self, origin: &Origin) -> bool {
        self.plain_http.contains(origin)
    }

    /// Whether no origin was added, so that any https origin is allowed.
    #[must_use]
    pub fn is_unbound(&self) -> bool {
        self.bound.is_empty()
    }

    /// Whether plain `http` to this machine is allowed.
    #[must_use]
    pub fn allows_loopback_http(&self) -> bool {
        self.is_unbound() || self.bound.iter().any(Origin::is_plain_loopback)
    }

    /// Checks that each added origin is allowed, so that no plain `http` one was added by mistake.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn check_all(&self) -> Result<(), Error> {
        self.bound.iter().try_for_each(|origin| self.check(origin))
    }

    /// Checks that the credential may go to the origin of a URL.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check) and [`Origin::from_url`].
    pub fn check_url(&self, url: &Url) -> Result<(), Error> {
        // The bound origins themselves were checked when the session was built.
        if self.are_plainly_of_url(url) {
            return Ok(());
        }
        self.check(&Origin::from_url(url)?)
    }

    /// Whether a comparison of text alone shows that a URL has a bound origin and no userinfo.
    ///
    /// `false` does not mean that the URL has another origin.
    pub(crate) fn are_plainly_of_url(&self, url: &Url) -> bool {
        let path = |origin: &String| url.as_str().strip_prefix(origin.as_str());
        let mut paths = self.written.iter().filter_map(path);
        paths.any(|path| path.starts_with('/'))
    }

    /// Checks that the credential may go to this origin.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Origin`](crate::ErrorKind::Origin) if it may not; the message says why and what to do.
    pub fn check(&self, origin: &Origin) -> Result<(), Error> {
        let plain = !origin.is_https() && !origin.is_loopback();
        if plain && !self.plain_http.contains(origin) {
            return Err(Error::origin(format!(
                "plain http to {origin} would show the credential to the network; use https, \
                 or allow it for this origin with `allow_plain_http`"
            )));
        }
        if self.bound.is_empty() || self.bound.contains(origin) {
            return Ok(());
        }
        let bound: Vec<_> = self.bound.iter().map(Origin::to_string).collect();
        Err(Error::origin(format!(
            "the credential is bound to {} and is not sent to {origin}; \
             if that origin may have it, bind the credential to it too",
            bound.join(", "),
        )))
    }
}

/// Whether a host is this machine; see [`Origin::is_loopback`].
pub(crate) fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.as_ref();
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => IpAddr::from(*address).to_canonical().is_loopback(),
    }
}

/// Parses an absolute URL. The error says what is missing, and quotes nothing, because a URL may hold a secret.
pub(crate) fn parse_url(text: &str) -> Result<Url, Error> {
    Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => Error::input(
            "the URL is relative and there is no base URL; give it in full, \
             such as https://api.example.com/path, or set `base_url`",
        ),
        other => Error::input("the URL cannot be parsed").caused_by(other),
    })
}

/// A URL as it may be shown: without user information, query and fragment, which may hold secrets. Other text is unchanged.
#[cfg(feature = "store")]
pub(crate) fn without_secrets(text: &str) -> &str {
    let text = match text.find("://").and_then(|_| text.find(['?', '#'])) {
        Some(end) => &text[..end],
        None => text,
    };
    let Some((scheme, rest)) = text.split_once("://") else {
        return text;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rfind('@') {
        Some(at) => &text[scheme.len() + "://".len() + at + 1..],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::error::ErrorKind;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn r1_an_origin_is_scheme_host_and_port() {
        assert_eq!(
            origin("https://a.example/x"),
            origin("https://A.EXAMPLE:443")
        );
        assert_ne!(origin("https://a.example"), origin("http://a.example"));
        assert_ne!(
            origin("https://a.example"),
            origin("https://a.example:8443")
        );
        assert_ne!(origin("https://a.example"), origin("https://b.a.example"));
        assert_ne!(origin("http://h:8443"), origin("https://h:8443"));
    }

    #[test]
    fn r1_a_url_matches_a_bound_origin_as_text_only_if_the_origins_are_equal() {
        let urls = [
            "https://a.example/x",
            "https://a.example:443",
            "https://a.example:8443",
            "http://a.example",
            "http://a.example:443",
            "https://b.a.example",
            "https://127.0.0.1",
            "https://[::1]",
            "https://user@a.example",
        ];
        for (one, other) in urls
            .iter()
            .flat_map(|one| urls.iter().map(move |other| (one, other)))
        {
            let mut origins = Origins::default();
            origins.bind(origin(one));
            let url = Url::parse(other).unwrap();
            let equal = origin(one) == origin(other);
            assert_eq!(
                origins.are_plainly_of_url(&url),
                equal && url.username().is_empty(),
                "{one} {other}"
            );
            assert!(!equal || origins.check_url(&url).is_ok() || url.scheme() == "http");
        }
    }

    #[test]
    fn r1_only_bound_origins_are_allowed() {
        let mut origins = Origins::default();
        origins.bind(origin("https://a.example"));
        assert!(origins.check(&origin("https://a.example")).is_ok());
        let error = origins.check(&origin("https://b.example")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Origin);
        assert!(error.to_string().contains("https://b.example"));
    }

    #[test]
    fn r1_without_a_binding_any_https_and_loopback_is_allowed_but_no_other_http() {
        let mut origins = Origins::default();
        assert!(origins.check(&origin("https://any.example")).is_ok());
        for loopback in [
            "http://127.0.0.1:1",
            "http://[::1]:2",
            "http://localhost",
            "http://x.localhost",
        ] {
            assert!(origins.check(&origin(loopback)).is_ok(), "{loopback}");
        }
        for plain in [
            "http://any.example",
            "http://10.0.0.1",
            "http://localhost.example",
        ] {
            let error = origins.check(&origin(plain)).unwrap_err();
            assert!(error.to_string().contains("allow_plain_http"), "{error}");
        }
        origins.allow_plain_http(origin("http://any.example"));
        assert!(origins.check(&origin("http://any.example")).is_ok());
    }

    #[test]
    fn the_error_for_an_unusable_url_says_why() {
        for (text, word) in [
            ("/relative", "relative"),
            ("ftp://a.example", "`ftp`"),
            ("file:///etc/passwd", "`file`"),
            ("https://", "cannot be parsed"),
        ] {
            let error = text.parse::<Origin>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input);
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
