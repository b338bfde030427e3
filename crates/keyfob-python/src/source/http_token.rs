//! A token in the response to an HTTP request, as a Python source.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use keyfob::oauth::{ExpiryForm, RequestText};
use keyfob::{Error, HttpToken, TokenSource};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::convert::{Codes, statuses};
use crate::source::remade::Recipe;
use crate::source::source::Source;
use crate::source::transport::{Transport, reached_by};

/// Requests a token as these settings say.
#[pyfunction]
pub(crate) fn http_source(
    py: Python<'_>,
    settings: HttpSettings,
    transport: Transport,
) -> PyResult<Source> {
    let default_lifetime = settings.default_lifetime;
    let request = Request {
        url: settings.url,
        method: settings.method.map(|name| method(&name)).transpose()?,
        headers: parts("headers", checked_headers(settings.headers)?)?,
        form: parts("form", settings.form)?,
        json: parts("json", settings.json)?,
        token: settings.token,
        expiry: settings.expiry,
        expiry_form: expiry_form(settings.expiry_form.as_deref())?,
        refused: settings.refused.map(statuses).transpose()?,
        timeout: transport.timeout()?,
        transport,
    };
    let recipe: Recipe = Arc::new(move || request.source());
    Source::remade(py, "http", recipe, default_lifetime)
}

#[derive(FromPyObject)]
pub(crate) struct HttpSettings {
    url: String,
    method: Option<String>,
    headers: Vec<NamedText>,
    form: Vec<NamedText>,
    json: Vec<NamedText>,
    token: Option<String>,
    expiry: Option<String>,
    expiry_form: Option<String>,
    refused: Option<Codes>,
    default_lifetime: Option<f64>,
}

/// A header, a form field or a place in a JSON body, and its value: a text, JSON, or the token of a source after a text.
#[derive(FromPyObject)]
struct NamedText(String, String, Option<Py<Source>>, bool);

/// The same, with the source as a link.
enum Part {
    Text(String),
    Json(serde_json::Value),
    Token(String, Recipe),
}

struct Request {
    url: String,
    method: Option<Method>,
    headers: Vec<(String, Part)>,
    form: Vec<(String, Part)>,
    json: Vec<(String, Part)>,
    token: Option<String>,
    expiry: Option<String>,
    expiry_form: ExpiryForm,
    refused: Option<Vec<StatusCode>>,
    timeout: Option<Duration>,
    transport: Transport,
}

impl Request {
    fn source(&self) -> Result<Arc<dyn TokenSource>, Error> {
        let builder = HttpToken::builder(&self.url);
        let mut builder = reached_by!(builder, &self.transport, self.timeout);
        if let Some(method) = &self.method {
            builder = builder.method(method.clone());
        }
        for (name, part) in &self.headers {
            builder = builder.header(name, part.text()?);
        }
        for (name, part) in &self.form {
            builder = builder.form(name, part.text()?);
        }
        for (pointer, part) in &self.json {
            builder = builder.json(pointer, part.text()?);
        }
        if let Some(pointer) = &self.token {
            builder = builder.token(pointer);
        }
        if let Some(pointer) = &self.expiry {
            builder = builder.expiry(pointer, self.expiry_form);
        }
        if let Some(refused) = &self.refused {
            builder = builder.refused(refused.iter().copied());
        }
        Ok(Arc::new(builder.build()?))
    }
}

impl Part {
    fn text(&self) -> Result<RequestText, Error> {
        Ok(match self {
            Self::Text(text) => text.as_str().into(),
            Self::Json(value) => value.clone().into(),
            Self::Token(prefix, link) => RequestText::token_of(link()?).after(prefix),
        })
    }
}

fn parts(keyword: &str, texts: Vec<NamedText>) -> PyResult<Vec<(String, Part)>> {
    let part = |NamedText(name, text, source, is_json)| {
        let part = match source {
            Some(source) => Part::Token(text, source.get().link(keyword)?),
            None if is_json => Part::Json(json(keyword, &text)?),
            None => Part::Text(text),
        };
        Ok((name, part))
    };
    texts.into_iter().map(part).collect()
}

/// Fails if a name or a text is not allowed in a header. The error does not quote the text.
fn checked_headers(headers: Vec<NamedText>) -> PyResult<Vec<NamedText>> {
    for NamedText(name, text, ..) in &headers {
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(PyValueError::new_err(
                "`headers` has a name with a character that no name of a header may have",
            ));
        }
        if HeaderValue::from_str(text).is_err() {
            return Err(PyValueError::new_err(format!(
                "`headers[{name:?}]` has a character that no header may have, such as a line end"
            )));
        }
    }
    Ok(headers)
}

/// JSON that Python wrote. An error of the parser might quote it.
pub(crate) fn json(keyword: &str, text: &str) -> PyResult<serde_json::Value> {
    serde_json::from_str(text).map_err(|_| {
        PyValueError::new_err(format!(
            "`{keyword}` holds a value that JSON cannot express, such as NaN"
        ))
    })
}

fn method(name: &str) -> PyResult<Method> {
    Method::from_bytes(name.as_bytes())
        .map_err(|_| PyValueError::new_err("`method` is not an HTTP method such as POST"))
}

fn expiry_form(name: Option<&str>) -> PyResult<ExpiryForm> {
    Ok(match name {
        None => ExpiryForm::default(),
        Some("seconds") => ExpiryForm::Seconds,
        Some("seconds_or_never") => ExpiryForm::SecondsOrNever,
        Some("rfc3339") => ExpiryForm::Rfc3339,
        Some("unix_seconds") => ExpiryForm::UnixSeconds,
        Some("unix_milliseconds") => ExpiryForm::UnixMilliseconds,
        Some(_) => {
            return Err(PyValueError::new_err(
                "`expiry_form` is none of seconds, seconds_or_never, rfc3339, unix_seconds and unix_milliseconds",
            ));
        }
    })
}
