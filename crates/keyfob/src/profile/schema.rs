//! The keys of a profile file, and the values that they are read into.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use toml::de::DeTable;
use url::Url;

pub(super) mod client;
pub(super) mod grant;
pub(super) mod sign_in;
pub(super) mod store;
pub(super) mod token;

use crate::error::error::Error;
use crate::exchange::retry::RetryPolicy;
use crate::origin::origin::Origin;
use crate::profile::errors::FileErrors;
use crate::profile::schema::store::StoreSettings;
use crate::profile::schema::token::TokenSettings;
use crate::profile::table::{Table, Value};

/// One profile, as the file describes it.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) base_url: Option<Url>,
    pub(super) origins: Vec<Origin>,
    pub(super) plain_http: Vec<Origin>,
    pub(super) timeout: Option<Duration>,
    pub(super) redirects: Option<u32>,
    pub(super) retry: RetryPolicy,
    pub(super) token: TokenSettings,
    pub(super) store: StoreSettings,
}

/// Reads a whole file. The error names every mistake, with line and column.
pub(super) fn read(text: &str, file: &str) -> Result<BTreeMap<String, Definition>, Error> {
    let errors = FileErrors::new(text);
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    for error in &syntax_errors {
        let at = error.span().unwrap_or_default();
        errors.add(&at, format!("this is not TOML: {}", error.message()));
    }
    let mut profiles = BTreeMap::new();
    if syntax_errors.is_empty() {
        profiles = read_profiles(Table::new(document.get_ref(), document.span(), &errors));
    }
    match errors.into_error(file) {
        Some(error) => Err(error),
        None => Ok(profiles),
    }
}

fn read_profiles(document: Table<'_>) -> BTreeMap<String, Definition> {
    let tables = document.get("profiles").and_then(Value::table);
    document.finish(&[]);
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

/// People type a name in shells and read it in columns, so it has only plain characters.
fn check_name(value: &Value<'_>) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if value.key.is_empty() || !value.key.chars().all(plain) {
        value.key_error("the name of a profile may have only letters, digits, `-`, `_` and `.`");
    }
}

fn read_profile(table: Table<'_>) -> Option<Definition> {
    let base_url = table.get("base_url").and_then(Value::url);
    let origins = table.get("origins").and_then(Value::origins);
    let plain_http = table.get("allow_plain_http").and_then(Value::origins);
    if !ORIGIN_KEYS.iter().any(|key| table.has(key)) {
        table.error(
            "the profile names no server; set `base_url` or `origins` to where its token may be sent",
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
        .require("token", "it says where the token comes from")
        .and_then(|value| token::read(value, base_url.as_ref()));
    let store = match table.get("store") {
        Some(value) => store::read(value),
        None => Some(StoreSettings::default()),
    };
    table.finish(&[]);
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
    table.finish(&[]);
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
