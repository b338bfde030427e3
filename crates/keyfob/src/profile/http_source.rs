//! The source of a token that an HTTP request returns, made from the file's settings.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::OptionFuture;
use futures_util::lock::Mutex;
use http::Method;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::oauth::http_token::HttpToken;
use crate::oauth::http_token::builder::HttpTokenBuilder;
use crate::oauth::http_token::part::RequestText;
use crate::origin::client_certificate::ClientCertificate;
use crate::profile::client_certificate::CertificateFiles;
use crate::profile::schema::http::{HttpBody, HttpSettings, HttpText, Piece, PlainHttpTo};
use crate::profile::set_each::SetEach;
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};

/// The sources of the tokens with which another one is fetched, by key.
pub(super) type LinkSources = BTreeMap<String, Arc<dyn TokenSource>>;

/// Sends the request of a profile.
///
/// It reads the secrets and variables at each renewal, and makes a new inner source when one of them has changed.
pub(super) struct HttpSource {
    settings: HttpSettings,
    ca_file: Option<PathBuf>,
    certificate: Option<CertificateFiles>,
    links: LinkSources,
    /// The inner source, and the pieces that it was made from.
    current: Mutex<Option<(Pieces, Arc<HttpToken>)>>,
}

/// The pieces of all texts that are read for each request, in their order.
type Pieces = Vec<Zeroizing<String>>;

impl HttpSource {
    pub(super) fn new(
        settings: HttpSettings,
        ca_file: Option<PathBuf>,
        certificate: Option<CertificateFiles>,
        links: LinkSources,
    ) -> Self {
        // A metadata service is on plain http.
        let is_metadata = matches!(settings.plain_http, PlainHttpTo::MetadataService);
        Self {
            settings,
            ca_file,
            certificate: certificate.filter(|_| !is_metadata),
            links,
            current: Mutex::new(None),
        }
    }

    async fn source(&self, request: &TokenRequest) -> Result<Arc<HttpToken>, Error> {
        // Held while the secrets are read, so that concurrent renewals make one source.
        let mut current = self.current.lock().await;
        let mut pieces = Vec::new();
        for piece in self.settings.pieces() {
            pieces.extend(read(piece, request).await?);
        }
        if let Some((known, source)) = &*current
            && *known == pieces
        {
            return Ok(Arc::clone(source));
        }
        let certificate = self.certificate.as_ref().map(CertificateFiles::certificate);
        let certificate = OptionFuture::from(certificate).await.transpose()?;
        let old = current.as_ref().map(|(_, source)| &**source);
        let source = Arc::new(self.new_source(&pieces, certificate.as_ref(), old)?);
        *current = Some((pieces, Arc::clone(&source)));
        Ok(source)
    }

    fn new_source(
        &self,
        pieces: &Pieces,
        certificate: Option<&ClientCertificate>,
        old: Option<&HttpToken>,
    ) -> Result<HttpToken, Error> {
        let settings = &self.settings;
        // In the order in which they were read.
        let mut read = pieces.iter();
        let url = url(&joined(&settings.url, &mut read))?;
        let mut builder = HttpToken::builder(url)
            .called(settings.name)
            .set_each(old, HttpTokenBuilder::in_place_of)
            .set_each(settings.method.clone(), HttpTokenBuilder::method)
            .set_each(&settings.token, |builder, at| builder.token(at))
            .set_each(&settings.expiry, |builder, (at, form)| {
                builder.expiry(at, *form)
            })
            .set_each(&settings.refused, |builder, statuses| {
                builder.refused(statuses.iter().copied())
            })
            .set_each(settings.advice, HttpTokenBuilder::advice)
            .set_each(&self.ca_file, HttpTokenBuilder::ca_file)
            .set_each(certificate, HttpTokenBuilder::client_certificate);
        builder = match &settings.plain_http {
            PlainHttpTo::None => builder,
            PlainHttpTo::Origin(origin) => builder.allow_plain_http(origin.to_string()),
            PlainHttpTo::MetadataService => builder.allow_metadata_service(),
        };
        let mut renewal = settings.renewal.as_ref().map(|renewal| {
            HttpToken::builder(&renewal.url)
                .called(settings.name)
                .method(Method::POST)
                .header(renewal.header, RequestText::previous_token())
                .set_each(&self.ca_file, HttpTokenBuilder::ca_file)
                .set_each(certificate, HttpTokenBuilder::client_certificate)
        });
        for (name, text) in &settings.headers {
            let value = self.text(text, &mut read);
            if !value.is_empty() {
                renewal = renewal.map(|request| request.header(name, value.clone()));
                builder = builder.header(name, value);
            }
        }
        builder = builder
            .set_each(renewal, HttpTokenBuilder::renewal)
            .set_each(settings.renewal.as_ref(), |builder, renewal| {
                builder.renewable(renewal.renewable)
            });
        match &settings.body {
            HttpBody::None => {}
            HttpBody::Form(fields) => {
                for (name, text) in fields {
                    builder = builder.form(name, self.text(text, &mut read));
                }
            }
            HttpBody::Json(members) => {
                for (pointer, text) in members {
                    builder = builder.json(pointer, self.text(text, &mut read));
                }
            }
            HttpBody::Text(text) => builder = builder.text(self.text(text, &mut read)),
        }
        builder.build()
    }

    fn text<'r>(
        &self,
        text: &HttpText,
        read: &mut impl Iterator<Item = &'r Zeroizing<String>>,
    ) -> RequestText {
        if let [Piece::Json(value)] = text.pieces.as_slice() {
            return value.clone().into();
        }
        let before = joined(&text.pieces, read);
        let Some(link) = &text.link else {
            return before.into();
        };
        let source = self.links.get(&link.key).expect("each link has a source");
        let token = RequestText::token_of(Arc::clone(source)).after(before.as_str());
        match link.name {
            Some(name) => token.called(name),
            None => token,
        }
    }
}

/// Reads a piece that may change; `None` for one that does not.
async fn read(piece: &Piece, request: &TokenRequest) -> Result<Option<Zeroizing<String>>, Error> {
    match piece {
        Piece::Plain(_) | Piece::Json(_) | Piece::Query { .. } => Ok(None),
        Piece::Secret(secret) => secret.read(request).await.map(Some),
        Piece::Variable { .. } | Piece::QueryIfSet { .. } | Piece::IfSet { .. } => {
            text_now(piece).map(Some)
        }
    }
}

/// The text of a piece that needs no more than the environment.
fn text_now(piece: &Piece) -> Result<Zeroizing<String>, Error> {
    match piece {
        Piece::Plain(text) => Ok(Zeroizing::new(text.clone())),
        Piece::Query { name, value } => Ok(Zeroizing::new(parameter(name, value))),
        Piece::Variable { name, hint } => variable(name).ok_or_else(|| {
            Error::unavailable(format!(
                "the environment variable {name} is not set: {hint}"
            ))
        }),
        Piece::QueryIfSet { name, variable: of } => Ok(match variable(of) {
            Some(value) => Zeroizing::new(parameter(name, &value)),
            None => Zeroizing::default(),
        }),
        Piece::IfSet {
            variable: of,
            set,
            unset,
        } => {
            let pieces = match variable(of) {
                Some(_) => set,
                None => unset,
            };
            let texts: Vec<_> = pieces.iter().map(text_now).collect::<Result<_, _>>()?;
            Ok(concatenated(texts.iter().map(|text| text.as_str())))
        }
        Piece::Json(_) | Piece::Secret(_) => Ok(Zeroizing::default()),
    }
}

/// A variable that is set to more than white space.
fn variable(name: &str) -> Option<Zeroizing<String>> {
    // The `VarError` may hold the text.
    let text = env::var(name).ok().map(Zeroizing::new)?;
    let text = text.trim();
    (!text.is_empty()).then(|| Zeroizing::new(text.to_owned()))
}

/// A parameter, which follows another one.
fn parameter(name: &str, value: &str) -> String {
    let mut query = form_urlencoded::Serializer::new("&".to_owned());
    query.append_pair(name, value).finish()
}

/// The pieces as one text. Those that were read are taken from the iterator.
fn joined<'r>(
    pieces: &[Piece],
    read: &mut impl Iterator<Item = &'r Zeroizing<String>>,
) -> Zeroizing<String> {
    let texts: Vec<_> = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Plain(_) | Piece::Query { .. } => text_now(piece).ok(),
            Piece::Json(_) => None,
            _ => read.next().cloned(),
        })
        .collect();
    concatenated(texts.iter().map(|text| text.as_str()))
}

/// The texts as one. Where both a text and the next one have a slash, it is one.
fn concatenated<'t>(texts: impl Iterator<Item = &'t str>) -> Zeroizing<String> {
    texts.fold(
        Zeroizing::default(),
        |mut whole: Zeroizing<String>, text| {
            let text = match whole.ends_with('/') {
                true => text.strip_prefix('/').unwrap_or(text),
                false => text,
            };
            whole.push_str(text);
            whole
        },
    )
}

/// The URL, whose query may begin with the parameters that were added.
fn url(text: &str) -> Result<String, Error> {
    let text = match text.contains('?') {
        true => text.to_owned(),
        false => text.replacen('&', "?", 1),
    };
    match text.parse::<Url>() {
        Ok(url) => Ok(url.into()),
        Err(_) => Err(Error::input(
            "the URL that returns the token is not a complete URL",
        )),
    }
}

impl TokenSource for HttpSource {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move { self.source(request).await?.fetch(request).await })
    }
}
