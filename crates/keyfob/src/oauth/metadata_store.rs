//! Where metadata outlive a process, so that not each run of a program has to fetch them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use crate::oauth::endpoint::Endpoint;
use crate::oauth::metadata::{Document, EndpointRules, Metadata};
use crate::oauth::metadata_request::FetchedMetadata;
use crate::oauth::response_body::{Body, read_body};
use crate::token::json::{Json, Object};

/// Keeps one text for each name. It is no secret, but it says where secrets are sent, so only the user may change it.
///
/// Failures are the store's own matter: without a text, the metadata are fetched.
pub(crate) trait NoteStore: Send + Sync {
    /// The text that was saved last under this name.
    fn load<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<Vec<u8>>>;

    /// Saves a text, or removes it.
    fn save<'a>(&'a self, name: &'a str, text: Option<String>) -> BoxFuture<'a, ()>;
}

/// The store of metadata, if there is one.
pub(crate) type MetadataStore = Arc<dyn NoteStore>;

/// Metadata from a store, and their age.
pub(crate) struct StoredMetadata {
    pub(crate) metadata: Metadata,
    pub(crate) age: Duration,
    pub(crate) lifetime: Duration,
}

/// Writes metadata of the server with this name.
pub(crate) fn write(server: &str, fetched: &FetchedMetadata, now: SystemTime) -> String {
    let since_epoch = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    serde_json::json!({
        "version": VERSION,
        "server": server,
        "source": fetched.source.url.as_str(),
        "fetched": since_epoch.as_secs(),
        "lifetime": fetched.lifetime.as_secs(),
        "document": fetched.document.to_json(),
    })
    .to_string()
}

/// What metadata from a store have to be, and which of their endpoints are used.
pub(crate) struct Expected<'a> {
    pub(crate) server: &'a str,
    pub(crate) issuer: Option<&'a str>,
    pub(crate) rules: &'a EndpointRules,
}

/// Reads metadata of the expected server; `None` if it is not known how old they are.
pub(crate) fn read(
    expected: &Expected<'_>,
    text: &[u8],
    now: SystemTime,
) -> Option<StoredMetadata> {
    let Body::Members(mut note) = read_body(text) else {
        return None;
    };
    if seconds(&note, "version")? != VERSION || note.text("server")? != expected.server {
        return None;
    }
    let fetched =
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds(&note, "fetched")?))?;
    let lifetime = Duration::from_secs(seconds(&note, "lifetime")?);
    let plain_http = &expected.rules.plain_http;
    let source = note.text("source")?;
    let source = Endpoint::parse_allowing("metadata document", source, plain_http).ok()?;
    let Some(Json::Object(document)) = note.take("document") else {
        return None;
    };
    let mut document = Document::read(&document);
    // Checked as if it came from the server.
    if expected.issuer.is_some() && document.issuer.as_deref() != expected.issuer {
        return None;
    }
    document.keep_issuer(expected.issuer);
    Some(StoredMetadata {
        metadata: Metadata::new(document, Some(&source), expected.rules).ok()?,
        age: now.duration_since(fetched).ok()?,
        lifetime,
    })
}

fn seconds(note: &Object, name: &str) -> Option<u64> {
    match note.get(name)? {
        Json::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// Increased when older versions can no longer read what is written.
const VERSION: u64 = 1;
