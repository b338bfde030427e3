//! The keys of a profile file, and the values that they are read into.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ::http::StatusCode;
use toml::de::DeTable;
use url::Url;

pub(super) mod client;
pub(super) mod grant;
mod grant_keys;
mod grant_names;
mod helper;
pub(super) mod http;
pub(super) mod place;
pub(super) mod placement;
pub(super) mod proxy;
mod references;
pub(super) mod route_subject;
pub(super) mod sign_in;
pub(super) mod signed_jwt;
pub(super) mod store;
pub(super) mod token;
mod variables;

use crate::error::error::Error;
use crate::exchange::retry::RetryPolicy;
use crate::origin::origin::Origin;
use crate::profile::client_certificate;
use crate::profile::client_certificate::{CertificateFiles, CertificateSettings, PresentedTo};
use crate::profile::errors::FileErrors;
use crate::profile::key::{Key, Kind, TableKeys};
use crate::profile::presets;
use crate::profile::schema::proxy::ProxySettings;
use crate::profile::schema::references::check_references;
use crate::profile::schema::store::StoreSettings;
use crate::profile::schema::token::{Context, TokenSettings};
use crate::profile::schema::variables::{
    read_stand_in_prefix, read_variables, secret_descriptors, secret_variables,
};
use crate::profile::set_each::SetEach;
use crate::profile::table::{Read, Table, Value};

/// One profile, as the file describes it.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) name: String,
    /// The options with which the command line makes the same profile, for the commands that errors tell a person to run.
    pub(super) options: BTreeMap<&'static str, String>,
    /// Its path ends with a slash.
    pub(super) base_url: Option<Url>,
    /// All origins that the token may be sent to, that of the base URL first.
    pub(super) origins: Vec<Origin>,
    pub(super) plain_http: Vec<Origin>,
    /// The certificate authorities that are trusted in place of the system's.
    pub(super) ca_file: Option<PathBuf>,
    /// The certificate that the profile's own server sees.
    pub(super) client_certificate: Option<CertificateFiles>,
    /// The certificate that the servers see which issue the token.
    pub(super) token_certificate: Option<CertificateFiles>,
    pub(super) timeout: Option<Duration>,
    pub(super) redirects: Option<u32>,
    pub(super) retry: RetryPolicy,
    pub(super) rejected_statuses: Vec<StatusCode>,
    /// The environment variables in which programs expect the token.
    pub(super) variables: Vec<String>,
    /// How a value begins that a program accepts as a token.
    pub(super) stand_in_prefix: Option<String>,
    /// The environment variables that have secrets of the profile.
    pub(super) secret_variables: Vec<String>,
    pub(super) secret_descriptors: Vec<String>,
    pub(super) token: TokenSettings,
    /// The key of a pool whose token this is; `None` for the profile's own.
    pub(super) pool_key: Option<String>,
    pub(super) store: StoreSettings,
    /// Whether the file names the store.
    names_store: bool,
    /// It has been reported that there is no place for the store.
    pub(super) has_reported_no_store: Arc<AtomicBool>,
}

impl Definition {
    /// The same profile, which the command line makes with this option. A later value replaces an earlier one, as it does here.
    pub(super) fn with_option(mut self, option: &'static str, path: &Path) -> Self {
        self.options.insert(option, path.display().to_string());
        self
    }

    /// The same profile with this CA file, for its server and for the server of its grant.
    pub(super) fn with_ca_file(mut self, path: PathBuf) -> Self {
        self.token.trust(&path);
        self.ca_file = Some(path);
        self
    }

    /// The same profile with a CA file that is not from the profile file.
    pub(super) fn with_given_ca_file(self, path: &Path) -> Self {
        self.with_ca_file(path.to_owned())
            .with_option("--cacert", path)
    }

    /// The same profile with this client certificate.
    pub(super) fn with_client_certificate(mut self, settings: CertificateSettings) -> Self {
        if settings.presented_to != PresentedTo::Api {
            self.token.present(&settings.files);
            self.token_certificate = Some(settings.files.clone());
        }
        if settings.presented_to != PresentedTo::TokenEndpoint {
            self.client_certificate = Some(settings.files);
        }
        self
    }
}

/// What a file describes.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) profiles: Vec<Definition>,
    pub(super) proxy: Option<ProxySettings>,
}

/// Reads a whole file. The error names every mistake, with line and column.
pub(super) fn read(text: &str, file: &str) -> Result<Document, Error> {
    let errors = FileErrors::new(text);
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    for error in &syntax_errors {
        let at = error.span().unwrap_or_default();
        errors.add(&at, format!("this is not TOML: {}", error.message()));
    }
    // The parser recovers only a part of a text that is not TOML, and the missing part would be reported as well.
    let document = match syntax_errors.is_empty() {
        true => {
            let document = Table::new(document.get_ref(), document.span(), &FILE, &errors);
            read_document(document, &errors)
        }
        false => Document::default(),
    };
    errors.into_result(file)?;
    Ok(document)
}

fn read_document(document: Table<'_>, errors: &FileErrors<'_>) -> Document {
    let profiles = document.optional("profiles", Value::entries);
    let proxy = document.get("proxy");
    document.finish();
    let mut profiles: Vec<_> = profiles
        .into_iter()
        .flatten()
        .filter_map(|value| read_named(&value).ok())
        .collect();
    // A profile with an error is missing here, and each reference to it would be an error too.
    let are_all_read = errors.is_empty();
    if are_all_read {
        let references = profiles.iter().map(|definition| {
            let name = definition.name.as_str();
            (name, definition.token.profiles())
        });
        check_references(&references.collect::<Vec<_>>(), errors);
    }
    // With an error, there may be a circle of references.
    if errors.is_empty() {
        set_default_stores(&mut profiles);
    }
    let proxy = proxy.and_then(|value| {
        let names: Vec<_> = profiles.iter().map(|profile| &*profile.name).collect();
        proxy::read(&value, are_all_read.then_some(&*names), errors).ok()
    });
    Document { profiles, proxy }
}

fn set_default_stores(profiles: &mut [Definition]) {
    let default = |profile: &Definition| {
        (!profile.names_store).then(|| {
            let of_profile = |name: &str| is_of_this_run(name, profiles);
            StoreSettings::default_for(&profile.token, &of_profile)
        })
    };
    let defaults: Vec<_> = profiles.iter().map(default).collect();
    for (profile, default) in profiles.iter_mut().zip(defaults) {
        if let Some(default) = default {
            profile.store = default;
        }
    }
}

/// Whether the token of the profile with this name is that of this run.
fn is_of_this_run(name: &str, profiles: &[Definition]) -> bool {
    let profile = profiles.iter().find(|profile| profile.name == name);
    profile.is_some_and(|profile| {
        let of_profile = |name: &str| is_of_this_run(name, profiles);
        profile.token.is_of_this_run(&of_profile)
    })
}

fn read_named(value: &Value<'_>) -> Read<Definition> {
    // People type a name in shells and read it in columns, so it has only plain characters.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if value.key.is_empty() || !value.key.chars().all(plain) {
        value.key_error("the name of a profile may have only letters, digits, `-`, `_` and `.`");
    }
    let mut definition = value.table(&PROFILE, |table| read_profile(value.key, table))?;
    definition.secret_variables = secret_variables(value);
    definition.secret_descriptors = secret_descriptors(value);
    Ok(definition)
}

fn read_profile(name: &str, table: &Table<'_>) -> Read<Definition> {
    let base_url = table.optional("base_url", Value::url).map(as_folder);
    let origins = table.optional("origins", Value::origins);
    let plain_http = table
        .optional("allow_plain_http", Value::origins)
        .unwrap_or_default();
    // A token without an origin could go anywhere. A key with an error counts as present: one error is enough.
    if !ORIGIN_KEYS.iter().any(|key| table.has(key)) {
        table.error(
            "the profile names no server; set `base_url` or `origins` to where its token may be sent, or `origins = []` if it is \
             only used to fetch those of other profiles",
        );
    }
    let ca_file = table.optional("ca_file", Value::path);
    let certificate = table.optional("client_certificate", client_certificate::read);
    let timeout = table.optional("timeout", Value::seconds);
    let redirects = table.optional("redirects", |value| value.number(0..=100));
    let retry = table.optional("retry", |value| value.table(&RETRY, read_retry));
    let rejected_statuses = table.optional("rejected_statuses", Value::statuses);
    let variables = table.optional("env", read_variables);
    let stand_in_prefix = table.optional("stand_in_prefix", read_stand_in_prefix);
    let store = table.optional("store", store::read);
    let token = table.required("token", "it says where the token comes from", |value| {
        let context = Context {
            base_url: base_url.as_ref(),
            find_preset: presets::find,
        };
        token::read(value, context)
    })?;
    let definition = Definition {
        name: name.to_owned(),
        options: BTreeMap::new(),
        origins: all_origins(
            base_url.as_ref(),
            origins.iter().flatten().chain(&plain_http),
        ),
        base_url,
        plain_http,
        ca_file: None,
        client_certificate: None,
        token_certificate: None,
        timeout,
        redirects,
        retry: retry.unwrap_or_default(),
        rejected_statuses: rejected_statuses.unwrap_or_default(),
        variables: variables.unwrap_or_default(),
        stand_in_prefix,
        secret_variables: Vec::new(),
        secret_descriptors: Vec::new(),
        pool_key: None,
        names_store: store.is_some(),
        // Without one, it depends on the profiles that this one refers to.
        store: store.unwrap_or_default(),
        token,
        has_reported_no_store: Arc::default(),
    };
    Ok(definition
        .set_each(ca_file, Definition::with_ca_file)
        .set_each(certificate, Definition::with_client_certificate))
}

/// A session treats the last segment of a base URL as a folder, so the profile does too.
fn as_folder(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        let folder = format!("{}/", url.path());
        url.set_path(&folder);
    }
    url
}

fn all_origins<'a>(base: Option<&Url>, more: impl Iterator<Item = &'a Origin>) -> Vec<Origin> {
    let mut origins = Vec::from_iter(base.and_then(|url| Origin::from_url(url).ok()));
    for origin in more {
        if !origins.contains(origin) {
            origins.push(origin.clone());
        }
    }
    origins
}

fn read_retry(table: &Table<'_>) -> Read<RetryPolicy> {
    let number = |key| table.optional(key, |value| value.number(1..=100));
    let seconds = |key| table.optional(key, Value::seconds);
    let statuses = |key| table.optional(key, Value::statuses).into_iter().flatten();
    Ok(RetryPolicy::default()
        .set_each(number("attempts"), RetryPolicy::attempts)
        .set_each(seconds("total"), RetryPolicy::total)
        .pauses(
            seconds("first_pause").unwrap_or(RetryPolicy::FIRST_PAUSE),
            seconds("longest_pause").unwrap_or(RetryPolicy::LONGEST_PAUSE),
        )
        .set_each(statuses("also"), RetryPolicy::retry)
        // Last, so that a status in both lists is not retried.
        .set_each(statuses("except"), RetryPolicy::do_not_retry))
}

const ORIGIN_KEYS: [&str; 3] = ["base_url", "origins", "allow_plain_http"];

/// The whole file.
pub(super) static FILE: TableKeys = TableKeys::new(
    "file",
    "Profiles of keyfob: sessions by name",
    &[&[
        Key::new(
            "profiles",
            Kind::TablesByName(&PROFILE),
            "the profiles, each under its name: letters, digits, `-`, `_` and `.`",
        ),
        Key::new(
            "proxy",
            Kind::Table(&proxy::KEYS),
            "the settings of `keyfob proxy`",
        ),
    ]],
);

pub(super) static PROFILE: TableKeys = TableKeys {
    required: &["token"],
    one_of: &[&ORIGIN_KEYS],
    ..TableKeys::new(
        "profile",
        "Where a token comes from, and which servers it may be sent to",
        &[PROFILE_KEYS],
    )
};

const PROFILE_KEYS: &[Key] = &[
    Key::new(
        "base_url",
        Kind::Url,
        "the token goes to the origin of this URL, and relative URLs are resolved against it",
    ),
    Key::new(
        "origins",
        Kind::Origins,
        "another origin, or a list of origins, that may receive the token: scheme, host and port",
    )
    .default("none"),
    Key::new(
        "allow_plain_http",
        Kind::Origins,
        "an origin, or a list of origins, that may receive the token over plain http although it is not this machine",
    )
    .default("none"),
    Key::new(
        "token",
        Kind::Token,
        "where the token comes from: a reference such as \"env:NAME\", or a table",
    ),
    Key::new(
        "ca_file",
        Kind::Path,
        "the file (PEM) with the certificate authorities that are trusted, and no others",
    )
    .default("those of the system"),
    Key::new(
        "client_certificate",
        Kind::PathOrTable(&client_certificate::KEYS),
        "the certificate that is presented to servers that ask for one in the TLS handshake: a file with certificate and key, or a table",
    )
    .default("none"),
    Key::new(
        "timeout",
        Kind::Seconds,
        "an attempt fails when nothing moves for this time, in seconds",
    )
    .default("20"),
    Key::new("redirects", Kind::Number(0, 100), "how many redirects are followed").default("10"),
    Key::new(
        "rejected_statuses",
        Kind::Statuses,
        "a status, or a list of them, by which a server says that the token is not valid, in addition to 401",
    )
    .default("none"),
    Key::new("retry", Kind::Table(&RETRY), "what is retried"),
    Key::new(
        "env",
        Kind::Plains("^[A-Za-z_][0-9A-Za-z_]*$"),
        "an environment variable, or a list of them, in which `keyfob run` gives a program the token",
    )
    .default("none"),
    Key::new(
        "stand_in_prefix",
        Kind::Plain("^[0-9A-Za-z._-]{1,40}$"),
        "how the value begins that `keyfob run --proxy` gives a program in place of the token: for programs that check the form",
    )
    .default("kf_"),
    Key::new(
        "store",
        Kind::WordOrTable(store::words_alone, &store::KEYS),
        "where the token is stored for other processes",
    ),
];

static RETRY: TableKeys = TableKeys::new("retry", "What is retried", &[RETRY_KEYS]);

const RETRY_KEYS: &[Key] = &[
    Key::new(
        "attempts",
        Kind::Number(1, 100),
        "how often a request is sent in total",
    )
    .default("4"),
    Key::new(
        "total",
        Kind::Seconds,
        "no attempt begins after this time, in seconds",
    )
    .default("90"),
    Key::new(
        "first_pause",
        Kind::Seconds,
        "the bound of the first pause, in seconds; it doubles each time",
    )
    .default("0.2"),
    Key::new(
        "longest_pause",
        Kind::Seconds,
        "the highest bound of a pause, in seconds",
    )
    .default("20"),
    Key::new(
        "also",
        Kind::Statuses,
        "a status, or a list of them, that is retried as well",
    )
    .default("none"),
    Key::new(
        "except",
        Kind::Statuses,
        "a status, or a list of them, that is not retried",
    )
    .default("none"),
];
