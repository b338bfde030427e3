//! What a profile file may say: every key, and what it is read into.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use toml::de::DeTable;
use url::Url;

mod client;
mod grant;
mod sign_in;
mod store;
mod token;

use crate::error::error::Error;
use crate::exchange::retry::RetryPolicy;
use crate::origin::origin::Origin;
use crate::profile::errors::Faults;
pub(super) use crate::profile::schema::client::Authentication;
pub(super) use crate::profile::schema::grant::{Assertion, Exchange, Grant, Kind, Server};
pub use crate::profile::schema::sign_in::SignIn;
pub(super) use crate::profile::schema::sign_in::SigningIn;
pub(super) use crate::profile::schema::store::{Files, Redis, StoreChoice, StoreKind};
pub(super) use crate::profile::schema::token::{From, TokenChoice};
use crate::profile::table::{Table, Value};

/// One profile, as the file has it.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) base_url: Option<Url>,
    pub(super) origins: Vec<Origin>,
    pub(super) plain_http: Vec<Origin>,
    pub(super) timeout: Option<Duration>,
    pub(super) redirects: Option<u32>,
    pub(super) retry: RetryPolicy,
    pub(super) token: TokenChoice,
    pub(super) store: StoreChoice,
}

/// Reads a whole file.
///
/// # Errors
///
/// An error that names every fault with line and column.
pub(super) fn read(text: &str, file: &str) -> Result<BTreeMap<String, Definition>, Error> {
    let faults = Faults::new(text);
    let (document, unreadable) = DeTable::parse_recoverable(text);
    for fault in &unreadable {
        let at = fault.span().unwrap_or_default();
        faults.add(&at, format!("this is no TOML: {}", fault.message()));
    }
    let mut profiles = BTreeMap::new();
    if unreadable.is_empty() {
        profiles = read_profiles(Table::new(document.get_ref(), document.span(), &faults));
    }
    match faults.into_error(file) {
        Some(error) => Err(error),
        None => Ok(profiles),
    }
}

fn read_profiles(document: Table<'_>) -> BTreeMap<String, Definition> {
    let tables = document.get("profiles").and_then(Value::table);
    document.close(&[]);
    let mut profiles = BTreeMap::new();
    for value in tables.iter().flat_map(Table::each) {
        let name = value.key;
        check_name(&value);
        if let Some(definition) = value.table().and_then(read_profile) {
            profiles.insert(name.to_owned(), definition);
        }
    }
    profiles
}

/// A name is typed and printed, so it is made of plain characters.
fn check_name(value: &Value<'_>) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if value.key.is_empty() || !value.key.chars().all(plain) {
        value.fault_of_key("the name of a profile is made of letters, digits, `-`, `_` and `.`");
    }
}

fn read_profile(table: Table<'_>) -> Option<Definition> {
    let base_url = table.get("base_url").and_then(Value::url);
    let origins = table.get("origins").and_then(Value::origins);
    let plain_http = table.get("allow_plain_http").and_then(Value::origins);
    if !ORIGIN_KEYS.iter().any(|key| table.has(key)) {
        table.fault(
            "the profile names no server; say with `base_url` or `origins` where its token may go",
        );
    }
    let timeout = table.get("timeout").and_then(Value::seconds);
    let redirects = table
        .get("redirects")
        .and_then(|value| value.number(0..101));
    let retry = match table.get("retry") {
        Some(value) => value.table().and_then(read_retry),
        None => Some(RetryPolicy::default()),
    };
    let token = table
        .need("token", "say where the token comes from")
        .and_then(|value| token::read(value, base_url.as_ref()));
    let store = match table.get("store") {
        Some(value) => store::read(value),
        None => Some(StoreChoice::default()),
    };
    table.close(&[]);
    Some(Definition {
        base_url,
        origins: origins.unwrap_or_default(),
        plain_http: plain_http.unwrap_or_default(),
        timeout,
        redirects,
        retry: retry?,
        token: token?,
        store: store?,
    })
}

fn read_retry(table: Table<'_>) -> Option<RetryPolicy> {
    let mut policy = RetryPolicy::default();
    if let Some(attempts) = table.get("attempts").and_then(|value| value.number(1..101)) {
        policy = policy.attempts(attempts);
    }
    if let Some(total) = table.get("total").and_then(Value::seconds) {
        policy = policy.total(total);
    }
    let first = table.get("first_pause").and_then(Value::seconds);
    let longest = table.get("longest_pause").and_then(Value::seconds);
    if first.is_some() || longest.is_some() {
        policy = policy.pauses(
            first.unwrap_or(RetryPolicy::FIRST_PAUSE),
            longest.unwrap_or(RetryPolicy::LONGEST_PAUSE),
        );
    }
    let (also, except) = (statuses(&table, "also"), statuses(&table, "except"));
    table.close(&[]);
    policy = also?.into_iter().fold(policy, RetryPolicy::retry);
    Some(except?.into_iter().fold(policy, RetryPolicy::do_not_retry))
}

fn statuses(table: &Table<'_>, key: &'static str) -> Option<Vec<StatusCode>> {
    let Some(value) = table.get(key) else {
        return Some(Vec::new());
    };
    value.list("a status, or a list of them", |value| {
        let status = value.number(400..600)?;
        StatusCode::from_u16(u16::try_from(status).ok()?).ok()
    })
}

const ORIGIN_KEYS: [&str; 3] = ["base_url", "origins", "allow_plain_http"];
