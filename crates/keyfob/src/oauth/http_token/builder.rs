//! The builder of a source that reads tokens from HTTP responses.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method, StatusCode};

use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::endpoint::{Endpoint, PlainHttp};
use crate::oauth::error_response::Advice;
use crate::oauth::http_client::{HttpClient, HttpSettings, metadata_client};
use crate::oauth::http_token::body::{Body, Tree};
use crate::oauth::http_token::expiry::{ExpiryForm, ExpirySetting};
use crate::oauth::http_token::part::RequestText;
use crate::oauth::http_token::pointer::Pointer;
use crate::oauth::http_token::renewal::{NewToken, Renewal};
use crate::oauth::http_token::{HttpToken, Settings};
use crate::oauth::inner_tokens::InnerSources;
use crate::origin::ca_file::Trust;
use crate::origin::ca_file::trust_file;
use crate::origin::certified_client::Certificate;
use crate::origin::client_certificate::ClientCertificate;
use crate::runtime::lock::Mutex;

/// Configures and builds an [`HttpToken`].
///
/// ```
/// use keyfob::HttpToken;
/// use keyfob::http::StatusCode;
///
/// let source = HttpToken::builder("https://login.example.com/session")
///     .form("user", "ci")
///     .form("password", "s3cr3t")
///     .token("/data/0/token")
///     .refused([StatusCode::UNAUTHORIZED, StatusCode::LOCKED])
///     .build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[must_use]
pub struct HttpTokenBuilder {
    url: String,
    name: Cow<'static, str>,
    method: Option<Method>,
    headers: Vec<(String, RequestText)>,
    form: Vec<(String, RequestText)>,
    json: Vec<(String, RequestText)>,
    text: Option<RequestText>,
    token: Option<String>,
    expiry: Option<(String, ExpiryForm)>,
    refused: Vec<StatusCode>,
    advice: Option<&'static Advice>,
    plain_http: Result<PlainHttp, Error>,
    http: Option<reqwest::ClientBuilder>,
    trust: Option<Result<Trust<reqwest::ClientBuilder>, Error>>,
    certificate: Option<Arc<dyn Certificate<reqwest::ClientBuilder>>>,
    timeout: Duration,
    renewal: Option<Box<HttpTokenBuilder>>,
    renewable: Option<String>,
    newest: Arc<Mutex<NewToken>>,
}

impl HttpToken {
    /// The default timeout of a request.
    pub const TIMEOUT: Duration = Client::TIMEOUT;

    /// The statuses that mean that the same request would be refused again, unless the response has `Retry-After`.
    ///
    /// Any other status that is no success is temporary: the request is sent again after a cool-down.
    pub const REFUSED: [StatusCode; 4] = [
        StatusCode::BAD_REQUEST,
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
    ];

    /// Starts to configure requests to this URL.
    pub fn builder(url: impl Into<String>) -> HttpTokenBuilder {
        HttpTokenBuilder {
            url: url.into(),
            name: Cow::Borrowed("token URL"),
            method: None,
            headers: Vec::new(),
            form: Vec::new(),
            json: Vec::new(),
            text: None,
            token: None,
            expiry: None,
            refused: Self::REFUSED.to_vec(),
            advice: None,
            plain_http: Ok(PlainHttp::No),
            http: None,
            trust: None,
            certificate: None,
            timeout: Self::TIMEOUT,
            renewal: None,
            renewable: None,
            newest: Arc::default(),
        }
    }
}

impl HttpTokenBuilder {
    /// Sets the method. Default: `POST` if there is a body, otherwise `GET`.
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Sets a header. Its value counts as secret.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<RequestText>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a field to the body, which is a form.
    pub fn form(mut self, name: impl Into<String>, value: impl Into<RequestText>) -> Self {
        self.form.push((name.into(), value.into()));
        self
    }

    /// Sets a value in the body, which is JSON. The objects around it are made.
    ///
    /// The place is a JSON pointer such as `/auth/jwt` (RFC 6901), in which each step is the name of a member.
    pub fn json(mut self, pointer: impl Into<String>, value: impl Into<RequestText>) -> Self {
        self.json.push((pointer.into(), value.into()));
        self
    }

    /// Sets the body as plain text. A header may name another type.
    pub fn text(mut self, text: impl Into<RequestText>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Sets where in the JSON of the response the token is: a pointer such as `/data/token` (RFC 6901).
    ///
    /// Unless [`expiry`](Self::expiry) is set, the expiry is looked for in the same object, by its usual names.
    pub fn token(mut self, pointer: impl Into<String>) -> Self {
        self.token = Some(pointer.into());
        self
    }

    /// Sets where in the JSON of the response the expiry is, and its form. `null` there means that there is none.
    pub fn expiry(mut self, pointer: impl Into<String>, form: ExpiryForm) -> Self {
        self.expiry = Some((pointer.into(), form));
        self
    }

    /// Renews a token where it is with this request, instead of getting a new one.
    ///
    /// It is sent when a token is due, and holds the token as [`RequestText::previous_token`]. Where the token and its expiry are
    /// in the response is as in the first one, unless the request says it. A new token is requested if the renewal is refused
    /// or fails with a 500, and if less than half of a new token's lifetime is left after it: the token then comes near its
    /// maximum lifetime.
    ///
    /// ```
    /// use keyfob::HttpToken;
    /// use keyfob::http::Method;
    /// use keyfob::oauth::{ExpiryForm, RequestText};
    ///
    /// let renewal = HttpToken::builder("https://vault.example.com/v1/auth/token/renew-self")
    ///     .method(Method::POST)
    ///     .header("x-vault-token", RequestText::previous_token());
    /// let source = HttpToken::builder("https://vault.example.com/v1/auth/approle/login")
    ///     .json("/role_id", "ci")
    ///     .token("/auth/client_token")
    ///     .expiry("/auth/lease_duration", ExpiryForm::SecondsOrNever)
    ///     .renewal(renewal)
    ///     .renewable("/auth/renewable")
    ///     .build()?;
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    pub fn renewal(mut self, mut request: Self) -> Self {
        // Vault responds so to the renewal of a lease that it revokes at that moment. A new token can be had all the same.
        request.refused.push(StatusCode::INTERNAL_SERVER_ERROR);
        self.renewal = Some(Box::new(request));
        self
    }

    /// Sets where in the response it says whether the token can be [renewed](Self::renewal): `false` there means no.
    pub fn renewable(mut self, pointer: impl Into<String>) -> Self {
        self.renewable = Some(pointer.into());
        self
    }

    /// Knows of the newest token what this source knows, whose place it takes.
    pub(crate) fn in_place_of(mut self, source: &HttpToken) -> Self {
        if let Some(renewal) = &source.0.renewal {
            self.newest = Arc::clone(&renewal.newest);
        }
        self
    }

    /// Sets the statuses that are permanent, in place of [`HttpToken::REFUSED`].
    pub fn refused(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.refused = statuses.into_iter().collect();
        self
    }

    /// Allows plain `http` to this origin, for a server inside of a cluster. The secrets of the request can be read on the way.
    ///
    /// The metadata service of a platform is not meant: the presets of profiles use it.
    pub fn allow_plain_http(mut self, origin: impl AsRef<str>) -> Self {
        self.plain_http = origin.as_ref().parse().map(PlainHttp::To);
        self
    }

    /// Allows the metadata service of a platform, which no proxy may see.
    pub(crate) fn allow_metadata_service(mut self) -> Self {
        self.plain_http = Ok(PlainHttp::Metadata);
        self
    }

    /// Sets what errors say that a person can do.
    pub(crate) fn advice(mut self, advice: &'static Advice) -> Self {
        self.advice = Some(advice);
        self
    }

    /// Sets what errors call the URL.
    pub(crate) fn called(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Uses your own HTTP client settings, as [`ClientBuilder::http`](crate::oauth::ClientBuilder::http) does.
    pub fn http(mut self, client: reqwest::ClientBuilder) -> Self {
        self.http = Some(client);
        self
    }

    /// Trusts the certificate authorities in this file (PEM) and no others.
    ///
    /// The file is read now. If it cannot be used, [`build`](Self::build) returns an error that names it.
    pub fn ca_file(mut self, path: impl AsRef<Path>) -> Self {
        self.trust = Some(trust_file(path.as_ref()));
        self
    }

    /// Presents this certificate to the server, as [`ClientBuilder::client_certificate`](crate::oauth::ClientBuilder::client_certificate) does.
    pub fn client_certificate(mut self, certificate: &ClientCertificate) -> Self {
        self.certificate = Some(Arc::new(certificate.clone()));
        self
    }

    /// Limits how long one request may take in total. Default: [`HttpToken::TIMEOUT`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Builds the source. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the URL is not absolute, a header or a pointer is not valid, there are two
    /// kinds of bodies, or a CA file cannot be used; [`ErrorKind::Origin`](crate::ErrorKind::Origin) for plain `http` to another
    /// machine.
    pub fn build(self) -> Result<HttpToken, Error> {
        let renewal = self.renewal.map(|mut request| {
            request.token = request.token.or_else(|| self.token.clone());
            request.expiry = request.expiry.or_else(|| self.expiry.clone());
            let renewable = self.renewable.as_deref().map(Pointer::parse).transpose()?;
            Ok::<_, Error>(Renewal {
                request: Arc::new(request.build()?),
                renewable,
                newest: self.newest,
            })
        });
        let plain_http = self.plain_http?;
        let endpoint = Endpoint::parse_allowing(self.name, &self.url, &plain_http)?;
        let http = match endpoint.origin.is_metadata_service() {
            true => Some(metadata_client()),
            false => self.http,
        };
        let mut inner = InnerSources::default();
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, text) in self.headers {
            let name = HeaderName::try_from(&name).map_err(|_| {
                Error::input("the name of a header has a character that is not allowed")
            })?;
            let part = text.into_part(&format!("the header `{name}`"), &mut inner);
            headers.push((name, part));
        }
        let body = body(self.form, self.json, self.text, &mut inner)?;
        let token = self.token.map(|text| Pointer::parse(&text)).transpose()?;
        let expiry = self.expiry.map(|(text, form)| {
            let pointer = Pointer::parse(&text)?;
            Ok::<_, Error>(ExpirySetting { pointer, form })
        });
        let has_body = !matches!(body, Body::None);
        let default_method = || match has_body {
            true => Method::POST,
            false => Method::GET,
        };
        Ok(HttpToken(Arc::new(Settings {
            endpoint,
            method: self.method.unwrap_or_else(default_method),
            headers,
            body,
            inner,
            token,
            expiry: expiry.transpose()?,
            refused: self.refused,
            renewal: renewal.transpose()?,
            advice: self.advice,
            http: HttpClient::new(HttpSettings {
                custom: http,
                trust: self.trust.transpose()?,
                certificate: self.certificate,
                timeout: self.timeout,
                clock: Arc::new(SystemClock),
            })?,
        })))
    }
}

fn body(
    form: Vec<(String, RequestText)>,
    json: Vec<(String, RequestText)>,
    text: Option<RequestText>,
    inner: &mut InnerSources,
) -> Result<Body, Error> {
    match (form.is_empty(), json.is_empty(), text) {
        (true, true, None) => Ok(Body::None),
        (true, true, Some(text)) => Ok(Body::Text(text.into_part("the body", inner))),
        (false, true, None) => {
            let fields = form.into_iter().map(|(name, text)| {
                let part = text.into_part(&format!("the form field `{name}`"), inner);
                (name, part)
            });
            Ok(Body::Form(fields.collect()))
        }
        (true, false, None) => {
            let mut tree = Tree::Object(Vec::new());
            for (pointer, text) in json {
                let part = text.into_part(&format!("the body at `{pointer}`"), inner);
                tree.set(&Pointer::parse(&pointer)?, part)?;
            }
            Ok(Body::Json(tree))
        }
        _ => Err(Error::input(
            "the request has several bodies: a form, JSON and text exclude each other",
        )),
    }
}

impl fmt::Debug for HttpTokenBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTokenBuilder").finish_non_exhaustive()
    }
}
