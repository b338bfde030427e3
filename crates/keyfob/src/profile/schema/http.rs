//! An HTTP request that returns a token, as a profile describes it.

use std::fmt;

use http::{Method, StatusCode};

use crate::oauth::error_response::Advice;
use crate::oauth::http_token::expiry::ExpiryForm;
use crate::oauth::http_token::pointer::Pointer;
use crate::origin::origin::{Origin, without_secrets};
use crate::profile::key::{Key, Kind, TableKeys, words};
use crate::profile::schema::grant_names::HTTP;
use crate::profile::schema::place::{LinkReader, TokenPlace};
use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Read, Table, Value};

/// A request, and where in the response the token is.
#[derive(Clone, Debug)]
pub(crate) struct HttpSettings {
    /// What errors call the URL.
    pub(crate) name: &'static str,
    pub(crate) url: Vec<Piece>,
    pub(crate) method: Option<Method>,
    pub(crate) headers: Vec<(String, HttpText)>,
    pub(crate) body: HttpBody,
    pub(crate) token: Option<String>,
    pub(crate) expiry: Option<(String, ExpiryForm)>,
    /// The statuses that are permanent; `None` for the usual ones.
    pub(crate) refused: Option<Vec<StatusCode>>,
    pub(crate) plain_http: PlainHttpTo,
    pub(crate) advice: Option<&'static Advice>,
    pub(crate) renewal: Option<RenewalSettings>,
}

/// A request that renews a token where it is.
#[derive(Clone, Debug)]
pub(crate) struct RenewalSettings {
    pub(crate) url: String,
    /// The header that carries the token. The others are those of the first request.
    pub(crate) header: &'static str,
    /// Where a response says whether its token can be renewed.
    pub(crate) renewable: &'static str,
}

#[derive(Clone, Debug, Default)]
pub(crate) enum HttpBody {
    #[default]
    None,
    Form(Vec<(String, HttpText)>),
    /// Each value with its JSON pointer.
    Json(Vec<(String, HttpText)>),
    Text(HttpText),
}

/// A text in a request: pieces, and at its end the token of a link.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpText {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) link: Option<LinkName>,
}

/// The key of a link, and what errors call its token if not by its place.
#[derive(Clone, Debug)]
pub(crate) struct LinkName {
    pub(crate) key: String,
    pub(crate) name: Option<&'static str>,
}

/// A piece of a text, which is read for each request.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Plain(String),
    /// A value of a JSON body that is no text. It is the only piece.
    Json(serde_json::Value),
    Secret(SecretRef),
    /// A variable that the platform sets. The hint says what it means if it is missing.
    Variable {
        name: &'static str,
        hint: &'static str,
    },
    /// A parameter that is added to the query of the URL.
    Query {
        name: &'static str,
        value: String,
    },
    /// A parameter with the value of a variable, if that is set.
    QueryIfSet {
        name: &'static str,
        variable: &'static str,
    },
    /// Some pieces if a variable is set, and others if it is not. None of them is a secret.
    IfSet {
        variable: &'static str,
        set: Vec<Piece>,
        unset: Vec<Piece>,
    },
}

/// To which other machine the request may go over plain `http`.
#[derive(Clone, Debug, Default)]
pub(crate) enum PlainHttpTo {
    #[default]
    None,
    Origin(Origin),
    /// The metadata service of the platform.
    MetadataService,
}

impl HttpSettings {
    /// A request to this URL, which errors call by this name.
    pub(crate) fn new(name: &'static str, url: Vec<Piece>) -> Self {
        Self {
            name,
            url,
            method: None,
            headers: Vec::new(),
            body: HttpBody::None,
            token: None,
            expiry: None,
            refused: None,
            plain_http: PlainHttpTo::None,
            advice: None,
            renewal: None,
        }
    }

    /// The same with this header.
    pub(crate) fn header(mut self, name: &str, value: impl Into<HttpText>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same with pointers to the token and to its expiry.
    pub(crate) fn answers(mut self, token: &str, expiry: &str, form: ExpiryForm) -> Self {
        self.token = Some(token.to_owned());
        self.expiry = Some((expiry.to_owned(), form));
        self
    }

    /// All secrets, each with its place in the file.
    pub(crate) fn secrets(&self) -> Vec<(&str, &SecretRef)> {
        let placed = self.placed_pieces();
        let secrets = placed.filter_map(|(place, piece)| match piece {
            Piece::Secret(secret) => Some((place, secret)),
            _ => None,
        });
        secrets.collect()
    }

    /// Whether the request carries the token of the link with this key.
    pub(crate) fn uses(&self, key: &str) -> bool {
        let body: &[_] = match &self.body {
            HttpBody::Form(fields) | HttpBody::Json(fields) => fields,
            HttpBody::None | HttpBody::Text(_) => &[],
        };
        let mut texts = self.headers.iter().chain(body).map(|(_, text)| text);
        texts.any(|text| text.link.as_ref().is_some_and(|link| link.key == key))
    }

    /// All pieces, in the order of the request.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.placed_pieces().map(|(_, piece)| piece)
    }

    fn placed_pieces(&self) -> impl Iterator<Item = (&str, &Piece)> {
        let url = self.url.iter().map(|piece| ("url", piece));
        let (fields, text): (&[_], &[_]) = match &self.body {
            HttpBody::None => (&[], &[]),
            HttpBody::Form(fields) | HttpBody::Json(fields) => (fields, &[]),
            HttpBody::Text(text) => (&[], &text.pieces),
        };
        let texts = self.headers.iter().chain(fields).flat_map(pieces);
        url.chain(texts)
            .chain(text.iter().map(|piece| ("text", piece)))
    }
}

impl Piece {
    /// A parameter that is added to the query of the URL.
    pub(crate) fn query(name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        Self::Query { name, value }
    }

    /// A variable that was found to be set.
    pub(crate) fn set(name: &'static str) -> Self {
        let hint = "the platform sets it";
        Self::Variable { name, hint }
    }

    /// A variable, or this text if it is not set.
    pub(crate) fn variable_or(variable: &'static str, text: &str) -> Self {
        Self::IfSet {
            variable,
            set: vec![Self::set(variable)],
            unset: vec![Self::Plain(text.to_owned())],
        }
    }
}

/// Where the token comes from, for people.
impl fmt::Display for HttpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {}", self.name)?;
        match self.url.first() {
            Some(Piece::Plain(url)) => write!(f, " at {}", without_secrets(url)),
            _ => Ok(()),
        }
    }
}

fn pieces((place, text): &(String, HttpText)) -> impl Iterator<Item = (&str, &Piece)> {
    text.pieces.iter().map(move |piece| (place.as_str(), piece))
}

impl From<&str> for HttpText {
    fn from(text: &str) -> Self {
        Piece::Plain(text.to_owned()).into()
    }
}

impl From<String> for HttpText {
    fn from(text: String) -> Self {
        Piece::Plain(text).into()
    }
}

impl From<Piece> for HttpText {
    fn from(piece: Piece) -> Self {
        Self {
            pieces: vec![piece],
            link: None,
        }
    }
}

impl HttpText {
    /// The token at this place.
    fn of(place: TokenPlace) -> Self {
        match place {
            TokenPlace::Secret(secret) => Piece::Secret(secret).into(),
            TokenPlace::Link(key) => Self {
                pieces: Vec::new(),
                link: Some(LinkName { key, name: None }),
            },
        }
    }

    /// The token of the link with this key. Errors call it by this name.
    pub(crate) fn token_of(key: &str, name: &'static str) -> Self {
        Self {
            pieces: Vec::new(),
            link: Some(LinkName {
                key: key.to_owned(),
                name: Some(name),
            }),
        }
    }

    /// The same after a text.
    pub(crate) fn after(mut self, text: &str) -> Self {
        self.pieces.insert(0, Piece::Plain(text.to_owned()));
        self
    }
}

/// Reads the keys of `source = "http"`.
pub(super) fn read(table: &Table<'_>, links: &LinkReader<'_>) -> Read<HttpSettings> {
    let purpose = "the URL that returns the token";
    let url = table.required("url", purpose, Value::url_as_written);
    let method = table.optional("method", |value| value.one_of("method", &METHODS));
    let headers = table.optional("headers", |value| read_texts(value, "headers", links));
    let body = read_body(table, links);
    let token = table.optional("token_pointer", read_pointer);
    let expiry = table.optional("expiry_pointer", read_pointer);
    let form = table.optional("expiry_form", |value| value.one_of("form", &FORMS));
    let refused = table.optional("refused_statuses", Value::statuses);
    let plain_http = table.optional("allow_plain_http", Value::origin);
    if let (None, Some(value)) = (&expiry, table.get("expiry_form")) {
        value.key_error("`expiry_form` goes with `expiry_pointer` only; set that too");
    }
    let mut settings = HttpSettings::new("token URL", vec![Piece::Plain(url?)]);
    settings.method = method.map(|name| name.parse().expect("it is the name of a method"));
    settings.headers = headers.unwrap_or_default();
    settings.body = body?;
    settings.token = token;
    settings.expiry = expiry.map(|pointer| (pointer, form.unwrap_or_default()));
    settings.refused = refused;
    settings.plain_http = plain_http.map_or(PlainHttpTo::None, PlainHttpTo::Origin);
    Ok(settings)
}

fn read_body(table: &Table<'_>, links: &LinkReader<'_>) -> Read<HttpBody> {
    let form = table.optional("form", |value| read_texts(value, "form", links));
    let json = table.optional("json", |value| {
        let mut members = Vec::new();
        read_json(value, "", links, &mut members)?;
        Ok(members)
    });
    let text = table.optional("text", |value| read_text(value, "text", links));
    match (form, json, text) {
        (None, None, None) => Ok(HttpBody::None),
        (Some(fields), None, None) => Ok(HttpBody::Form(fields)),
        (None, Some(members), None) => Ok(HttpBody::Json(members)),
        (None, None, Some(text)) => Ok(HttpBody::Text(text)),
        _ => Err(table.error("`form`, `json` and `text` exclude each other; leave one of them")),
    }
}

fn read_texts(
    value: &Value<'_>,
    place: &str,
    links: &LinkReader<'_>,
) -> Read<Vec<(String, HttpText)>> {
    let mut texts = Vec::new();
    for entry in value.entries()? {
        if let Ok(text) = read_text(&entry, place, links) {
            texts.push((entry.key.to_owned(), text));
        }
    }
    Ok(texts)
}

/// Reads a text, a reference, or a table with a token and the text in front of it.
fn read_text(value: &Value<'_>, place: &str, links: &LinkReader<'_>) -> Read<HttpText> {
    let key = format!("{place}.{}", value.key);
    if value.is_table() {
        return value.table(&TEXT, |table| {
            let prefix = table.optional("prefix", Value::text);
            let purpose =
                "a reference to a secret or a profile, or a table with the settings of a token";
            let token = table.required("token", purpose, |value| links.place(&key, value))?;
            let text = HttpText::of(token);
            Ok(match prefix {
                Some(prefix) => text.after(&prefix),
                None => text,
            })
        });
    }
    let text = value.text()?;
    if SecretRef::is_reference(&text) {
        return links.place(&key, value).map(HttpText::of);
    }
    if place == "headers"
        && SECRET_HEADERS
            .iter()
            .any(|name| value.key.eq_ignore_ascii_case(name))
    {
        return Err(value.error(format!(
            "the header `{}` holds a secret, which must not be in this file; give the place where it is: {}",
            value.key,
            SecretRef::FORMS
        )));
    }
    Ok(text.into())
}

/// Reads a JSON object: texts and references, numbers, lists and further objects.
fn read_json(
    value: &Value<'_>,
    pointer: &str,
    links: &LinkReader<'_>,
    members: &mut Vec<(String, HttpText)>,
) -> Read<()> {
    for entry in value.entries()? {
        let name = entry.key.replace('~', "~0").replace('/', "~1");
        let at = format!("{pointer}/{name}");
        if entry.is_table() {
            // Every member is read, so that each mistake is reported.
            let _ = read_json(&entry, &at, links, members);
        } else if entry.is_text() {
            let text = read_text(&entry, "json", links);
            members.extend(text.map(|text| (at, text)));
        } else if let Ok(json) = entry.json() {
            members.push((at, Piece::Json(json).into()));
        }
    }
    Ok(())
}

fn read_pointer(value: &Value<'_>) -> Read<String> {
    let text = value.text()?;
    match Pointer::parse(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(value.error(format!("`{}`: {error}", value.key))),
    }
}

/// Headers whose value is a secret whatever it looks like.
const SECRET_HEADERS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

const METHODS: [(&str, &str); 4] = [
    ("GET", "GET"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("PATCH", "PATCH"),
];

const FORMS: [(&str, ExpiryForm); 6] = [
    ("any", ExpiryForm::Any),
    ("seconds", ExpiryForm::Seconds),
    ("seconds_or_never", ExpiryForm::SecondsOrNever),
    ("rfc3339", ExpiryForm::Rfc3339),
    ("unix_seconds", ExpiryForm::UnixSeconds),
    ("unix_milliseconds", ExpiryForm::UnixMilliseconds),
];

/// A token in a request, and the text in front of it.
static TEXT: TableKeys = TableKeys {
    required: &["token"],
    ..TableKeys::new(
        "request_text",
        "A token in a request, and the text in front of it",
        &[&[
            Key::new(
                "prefix",
                Kind::Text,
                "the text in front, such as \"Bearer \"",
            ),
            Key::new("token", Kind::Token, "where the token comes from"),
        ]],
    )
};

/// The keys that only an HTTP request has.
pub(super) const KEYS: &[Key] = &[
    Key::new("url", Kind::Url, "the URL that returns the token").only(&[HTTP]),
    Key::new("method", Kind::Word(|| words(&METHODS)), "the method")
        .default("POST with a body, else GET")
        .only(&[HTTP]),
    Key::new(
        "headers",
        Kind::TextsOrTablesByName(&TEXT),
        "headers: a text, a reference to a secret or a profile, or a table with `prefix` and `token`",
    )
    .default("none")
    .only(&[HTTP]),
    Key::new(
        "form",
        Kind::TextsOrTablesByName(&TEXT),
        "the fields of a form, as with `headers`",
    )
    .default("none")
    .only(&[HTTP]),
    Key::new(
        "json",
        Kind::Json,
        "a JSON body, in which a text may be a reference to a secret or a profile",
    )
    .default("none")
    .only(&[HTTP]),
    Key::new(
        "text",
        Kind::TextOrTable(&TEXT),
        "a body of plain text, as with `headers`",
    )
    .default("none")
    .only(&[HTTP]),
    Key::new(
        "token_pointer",
        Kind::Pointer,
        "where in the JSON of the response the token is (JSON pointer, RFC 6901)",
    )
    .default("any usual format")
    .only(&[HTTP]),
    Key::new(
        "expiry_pointer",
        Kind::Pointer,
        "where in the JSON of the response its expiry is",
    )
    .default("beside the token")
    .only(&[HTTP]),
    Key::new(
        "expiry_form",
        Kind::Word(|| words(&FORMS)),
        "how the expiry is written",
    )
    .default("any")
    .only(&[HTTP])
    .needs("expiry_pointer"),
    Key::new(
        "refused_statuses",
        Kind::Statuses,
        "statuses that mean that the same request would be refused again",
    )
    .default("400, 401, 403, 404")
    .only(&[HTTP]),
];

/// Pairs of keys that exclude each other.
pub(super) const EXCLUSIVE: [[&str; 2]; 3] = [["form", "json"], ["form", "text"], ["json", "text"]];
