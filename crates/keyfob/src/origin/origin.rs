//! The origin of a URL, and the set of origins that may receive one credential.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::error::error::Error;
use crate::origin::host::LOCALHOST;
use crate::origin::host::is_metadata_host;
use crate::origin::host::{is_loopback, parse_host};

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

    /// Makes an origin of a scheme, a host and a port that were parsed elsewhere.
    ///
    /// For clients that parse URLs themselves: give what the client will connect to, so that no other origin is judged. An
    /// IPv6 address may have brackets.
    ///
    /// ```
    /// use keyfob::Origin;
    ///
    /// let origin = Origin::from_parts("https", "API.example.com", None)?;
    /// assert_eq!(origin, "https://api.example.com".parse()?);
    /// assert!(Origin::from_parts("http", "127.0.0.1\\x.evil.example", Some(8088)).is_err());
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the scheme is neither `http` nor `https`, or if a resolver could read
    /// the host in another way than keyfob: a host with odd bytes, with percent encoding or outside of ASCII, or an IPv4
    /// address that is not four decimal numbers.
    pub fn from_parts(scheme: &str, host: &str, port: Option<u16>) -> Result<Self, Error> {
        let scheme = Scheme::named(&scheme.to_ascii_lowercase())?;
        Ok(Self {
            scheme,
            host: parse_host(host)?,
            port: port.unwrap_or(scheme.default_port()),
        })
    }

    /// Whether the scheme is `https`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// The host, in its normal form.
    pub(crate) fn host(&self) -> &Host<String> {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The same host and port with plain `http`.
    pub(crate) fn over_plain_http(&self) -> Self {
        Self {
            scheme: Scheme::Http,
            ..self.clone()
        }
    }

    /// Whether the host is this machine: `localhost` (RFC 6761 §6.3) or a loopback address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Whether this is the metadata service of a cloud platform: plain http to a link-local address, or Google's name for it.
    pub(crate) fn is_metadata_service(&self) -> bool {
        !self.is_https() && is_metadata_host(&self.host)
    }

    /// Whether the host is a name, for which `is_loopback` holds only if it is pinned to loopback addresses.
    fn is_name(&self) -> bool {
        matches!(self.host, Host::Domain(_))
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
///
/// [`OriginsBuilder`](crate::origin::OriginsBuilder) has an example.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// Empty means any https origin that the caller itself names.
    pub(super) bound: Vec<Origin>,
    /// The bound origins as text, each the beginning of a URL in normal form.
    pub(super) written: Vec<String>,
    plain_http: Vec<Origin>,
    local_names: LocalNames,
}

/// Which names of this machine the client resolves to loopback addresses, whatever the DNS says (RFC 6761 §6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LocalNames {
    /// None that is known. Plain http to `localhost` is then like plain http to any other name.
    #[default]
    Unpinned,
    /// Those of bound origins, and `localhost`.
    Bound,
    /// `localhost` and every name below it.
    All,
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

    /// Records that the client resolves `localhost` and every name below it to loopback addresses (RFC 6761 §6.3).
    ///
    /// Without it, plain `http` to such a name is refused, because a name server could send the credential elsewhere.
    pub fn pin_local_names(&mut self) {
        self.local_names = LocalNames::All;
    }

    /// Records which names the client resolves to loopback addresses.
    pub(crate) fn set_local_names(&mut self, names: LocalNames) {
        self.local_names = names;
    }

    /// The names of bound origins that a client has to resolve to loopback addresses, and `localhost`.
    pub(crate) fn local_names(&self) -> impl Iterator<Item = &str> {
        let local = |origin: &&Origin| origin.is_plain_loopback();
        let bound = self.bound.iter().filter(local);
        let names = bound.filter_map(|origin| match &origin.host {
            Host::Domain(name) => Some(name.as_str()),
            _ => None,
        });
        names.chain([LOCALHOST])
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
        let plain = !origin.is_https() && !self.is_this_machine(origin);
        if plain && !self.plain_http.contains(origin) {
            let https = match origin.is_loopback() {
                true => {
                    "https or the address 127.0.0.1, because a name server may resolve this name"
                }
                false => "https",
            };
            return Err(Error::origin(format!(
                "plain http to {origin} would show the credential to the network; use {https}, \
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

impl Origins {
    /// Whether requests to this origin stay on this machine, for certain.
    fn is_this_machine(&self, origin: &Origin) -> bool {
        origin.is_loopback()
            && (!origin.is_name()
                || match self.local_names {
                    LocalNames::Unpinned => false,
                    LocalNames::Bound => {
                        self.bound.contains(origin)
                            || origin.host == Host::Domain(LOCALHOST.to_owned())
                    }
                    LocalNames::All => true,
                })
    }
}

/// Reads a URL that is safe to show and to open: not a file, and not the URL scheme of another program.
///
/// Userinfo is refused, because a person reads `https://bank.example@evil.example/` as the address of the bank. The text of a
/// parsed URL is ASCII without control characters.
pub(crate) fn web_page(text: &str) -> Option<Url> {
    let url = parse_url(text).ok()?;
    let origin = Origin::from_url(&url).ok()?;
    let is_web = origin.is_https() || origin.is_plain_loopback();
    let has_userinfo = !url.username().is_empty() || url.password().is_some();
    (is_web && !has_userinfo && url.as_str().len() <= MAX_WEB_PAGE_BYTES).then_some(url)
}

/// Longer addresses are not shown.
const MAX_WEB_PAGE_BYTES: usize = 2000;
/// Parses an absolute URL. The error says what is missing, and quotes nothing, because a URL may hold a secret.
pub(crate) fn parse_url(text: &str) -> Result<Url, Error> {
    Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => Error::input(
            "the URL names no scheme; give it in full, such as https://api.example.com/path",
        ),
        other => Error::input("the URL cannot be parsed").caused_by(other),
    })
}

/// A URL as it may be shown: without user information, query and fragment, which may hold secrets. Other text is unchanged.
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
        for loopback in ["http://127.0.0.1:1", "http://[::1]:2"] {
            assert!(origins.check(&origin(loopback)).is_ok(), "{loopback}");
        }
        for name in ["http://localhost", "http://x.localhost"] {
            let error = origins.check(&origin(name)).unwrap_err();
            assert!(error.to_string().contains("127.0.0.1"), "{error}");
            let mut pinned = origins.clone();
            pinned.pin_local_names();
            assert!(pinned.check(&origin(name)).is_ok(), "{name}");
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
    fn r1_where_only_bound_names_are_pinned_no_other_name_is_this_machine() {
        let mut origins = Origins::default();
        origins.set_local_names(LocalNames::Bound);
        assert!(origins.check(&origin("http://localhost:1")).is_ok());
        assert!(origins.check(&origin("http://x.localhost")).is_err());
        origins.bind(origin("http://x.localhost"));
        assert!(origins.check(&origin("http://x.localhost")).is_ok());
        let names: Vec<_> = origins.local_names().collect();
        assert_eq!(names, ["x.localhost", "localhost"]);
    }

    #[test]
    fn the_error_for_an_unusable_url_says_why() {
        for (text, word) in [
            ("/relative", "names no scheme"),
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
