//! Where a profile's token comes from: a place that already has it, an OAuth 2.0 grant, or another source.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use ::http::HeaderName;
use url::Url;

use crate::origin::origin::without_secrets;
use crate::profile::basic::BasicToken;
use crate::profile::client_certificate::CertificateFiles;
use crate::profile::key::{Condition, Key, Kind, TableKeys, Variant};
use crate::profile::schema::grant::Grant;
use crate::profile::schema::helper;
use crate::profile::schema::http;
use crate::profile::schema::http::HttpSettings;
use crate::profile::schema::place::LinkReader;
use crate::profile::schema::placement::{PLACEMENT_KEYS, read_placement};
use crate::profile::schema::signed_jwt;
use crate::profile::schema::signed_jwt::JwtSettings;
use crate::profile::schema::{client, grant, grant_keys, grant_names, sign_in};
use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Read, Reported, Table, Value};
use crate::source::placed::Placement;

/// The token of a profile, or of a link of its chain.
#[derive(Clone, Debug)]
pub(crate) struct TokenSettings {
    pub(crate) from: TokenFrom,
    /// The tokens with which it is fetched.
    pub(crate) links: Vec<Link>,
    /// It costs nothing to get again, and nothing that makes it is on disk: neither should be the token.
    pub(crate) is_keyless: bool,
    /// What a person calls it, if a preset knows.
    pub(crate) name: Option<&'static str>,
    /// Where in a request the token goes; `None` for `Authorization: Bearer`.
    pub(crate) placement: Option<Placement>,
    pub(crate) fetch_timeout: Option<Duration>,
    pub(crate) default_lifetime: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(crate) enum TokenFrom {
    /// A command, a variable, a file or the keyring.
    Secret(SecretRef),
    /// A user and a password.
    Basic(BasicToken),
    Grant(Box<Grant>),
    /// A JWT that is signed here.
    SignedJwt(Box<JwtSettings>),
    /// The response to an HTTP request.
    Http(Box<HttpSettings>),
    /// The token of another profile.
    Profile(ProfileRef),
}

/// Where the token comes from, in words: a place, or a grant and its server.
impl fmt::Display for TokenFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(secret) => write!(f, "{secret}"),
            Self::Basic(basic) => write!(f, "{basic}"),
            Self::Grant(grant) => {
                let server = without_secrets(grant.server.url());
                write!(f, "{} at {server}", grant.name)
            }
            Self::SignedJwt(jwt) => write!(f, "a JWT signed with the key in {}", jwt.key.pem),
            Self::Http(http) => write!(f, "{http}"),
            Self::Profile(other) => write!(f, "the profile {}", other.name),
        }
    }
}

/// The name of another profile, and where in the file it is.
#[derive(Clone, Debug)]
pub(crate) struct ProfileRef {
    pub(crate) name: String,
    pub(crate) at: Range<usize>,
}

/// A token with which another one is fetched.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// The key in the file, such as `client_assertion` or `headers.authorization`.
    pub(crate) key: String,
    pub(crate) token: TokenSettings,
}

/// What is known where tokens are read.
#[derive(Clone, Copy)]
pub(crate) struct Context<'c> {
    pub(crate) base_url: Option<&'c Url>,
    /// Finds the preset that the value of `preset` names.
    pub(crate) find_preset: fn(&Value<'_>) -> Read<&'static dyn ReadPreset>,
}

/// A preset: a table with keys of its own, from which the settings that are defined here are made.
pub(crate) trait ReadPreset: Sync {
    fn table(&'static self) -> &'static TableKeys;

    /// Reads the table of a profile with this base URL.
    fn read(
        &'static self,
        table: &Table<'_>,
        links: &LinkReader<'_>,
        base_url: Option<&Url>,
    ) -> Read<TokenSettings>;
}

impl TokenSettings {
    pub(crate) fn new(from: TokenFrom) -> Self {
        Self {
            from,
            links: Vec::new(),
            is_keyless: false,
            name: None,
            placement: None,
            fetch_timeout: None,
            default_lifetime: None,
        }
    }

    /// The same, fetched with this token.
    pub(crate) fn link(mut self, key: &str, token: Self) -> Self {
        let key = key.to_owned();
        self.links.push(Link { key, token });
        self
    }

    /// The same, for a token that the platform gives without a secret.
    pub(crate) fn keyless(mut self) -> Self {
        self.is_keyless = true;
        self
    }

    /// Adds a link of the file to the token that is fetched with it: this one, or one of those that a preset made.
    fn adopt(&mut self, link: Link) {
        let uses_it = |of: &Self| matches!(&of.from, TokenFrom::Http(http) if http.uses(&link.key));
        match self.links.iter_mut().find(|inner| uses_it(&inner.token)) {
            Some(inner) => inner.token.links.push(link),
            None => self.links.push(link),
        }
    }

    /// The same with what a person calls it, such as `the installation token`.
    pub(crate) fn called(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Whether the token is that of this run: the platform gives it or what stands in for a secret, or a variable of the
    /// environment says for whom it is. The next run may be another job or another user, for whom the token is not.
    ///
    /// `of_profile` says this of the token of another profile.
    pub(crate) fn is_of_this_run(&self, of_profile: &dyn Fn(&str) -> bool) -> bool {
        match &self.from {
            TokenFrom::Secret(secret) => self.is_keyless || secret.is_variable(),
            TokenFrom::Profile(other) => of_profile(&other.name),
            // A sign-in is lost without a store.
            TokenFrom::Grant(grant) if grant.consumes_refresh_token() => false,
            TokenFrom::Grant(grant) if grant.is_of_this_run() => true,
            _ => {
                let mut links = self.links.iter();
                self.is_keyless || links.any(|link| link.token.is_of_this_run(of_profile))
            }
        }
    }

    /// The same in this header, without a scheme.
    pub(crate) fn in_header(mut self, name: &'static str) -> Self {
        self.placement = Some(Placement::header(HeaderName::from_static(name)));
        self
    }

    /// True if a token without an expiry may be stored: the server rejects it in time, or the file has a default lifetime.
    pub(crate) fn knows_when_tokens_expire(&self) -> bool {
        self.grant().is_some() || self.default_lifetime.is_some()
    }

    /// All secrets that a token is made from, each with its key in the file. Those of links are their own.
    ///
    /// A token that is read from a place is none of them.
    pub(crate) fn secrets(&self) -> Vec<(&str, &SecretRef)> {
        match &self.from {
            TokenFrom::Secret(_) | TokenFrom::Profile(_) => Vec::new(),
            TokenFrom::Basic(basic) => basic.secrets(),
            TokenFrom::Grant(grant) => grant.secrets(),
            TokenFrom::SignedJwt(jwt) => jwt.key.secrets(),
            TokenFrom::Http(http) => http.secrets(),
        }
    }

    pub(crate) fn grant(&self) -> Option<&Grant> {
        match &self.from {
            TokenFrom::Grant(grant) => Some(grant),
            _ => None,
        }
    }

    /// Sets the CA file for the servers of all links.
    pub(crate) fn trust(&mut self, ca_file: &Path) {
        if let TokenFrom::Grant(grant) = &mut self.from {
            grant.ca_file = Some(ca_file.to_owned());
        }
        for link in &mut self.links {
            link.token.trust(ca_file);
        }
    }

    /// Sets the client certificate that the servers of all links see.
    pub(crate) fn present(&mut self, certificate: &CertificateFiles) {
        if let TokenFrom::Grant(grant) = &mut self.from {
            grant.client_certificate = Some(certificate.clone());
        }
        for link in &mut self.links {
            link.token.present(certificate);
        }
    }

    /// The other profiles whose tokens it needs.
    pub(crate) fn profiles(&self) -> Vec<&ProfileRef> {
        let mut found = Vec::new();
        if let TokenFrom::Profile(reference) = &self.from {
            found.push(reference);
        }
        for link in &self.links {
            found.extend(link.token.profiles());
        }
        found
    }

    /// Whether its errors say which link of a chain failed.
    pub(crate) fn is_chain(&self) -> bool {
        !self.links.is_empty() || matches!(self.from, TokenFrom::SignedJwt(_) | TokenFrom::Http(_))
    }
}

/// Reads `token = "env:NAME"`, or the table `[profiles.name.token]`.
pub(super) fn read(value: &Value<'_>, context: Context<'_>) -> Read<TokenSettings> {
    if value.is_table() {
        return read_with(value, context, |table, from| {
            let placement = read_placement(table);
            let settings = read_settings(table, context, from)?;
            Ok(TokenSettings {
                placement: placement?.or(settings.placement),
                ..settings
            })
        });
    }
    read_reference(value)
}

/// Where the keys of a table come from: from a preset, or they are those of all other tokens.
type Preset = Option<&'static dyn ReadPreset>;

/// Reads a table with the keys of its preset, if it names one.
fn read_with<'t>(
    value: &Value<'t>,
    context: Context<'_>,
    read: impl FnOnce(&Table<'t>, Preset) -> Read<TokenSettings>,
) -> Read<TokenSettings> {
    let preset = value.get("preset");
    let preset = preset
        .map(|name| (context.find_preset)(&name))
        .transpose()?;
    let keys = preset.map_or(&KEYS, |preset| preset.table());
    value.table(keys, |table| read(table, preset))
}

fn read_reference(value: &Value<'_>) -> Read<TokenSettings> {
    if value.is_profile() {
        let (name, at) = value.profile()?;
        let from = TokenFrom::Profile(ProfileRef { name, at });
        return Ok(TokenSettings::new(from));
    }
    value
        .secret()
        .map(TokenFrom::Secret)
        .map(TokenSettings::new)
}

/// Reads the settings of a token that is used to fetch another one. It goes into no header of its own.
fn read_link(value: &Value<'_>, context: Context<'_>) -> Read<TokenSettings> {
    if !value.is_table() {
        return read_reference(value);
    }
    let settings = read_with(value, context, |table, preset| {
        read_settings(table, context, preset)
    })?;
    match settings.grant() {
        // What a person signs in to has a name, and a new refresh token has to be stored.
        Some(grant) if grant.consumes_refresh_token() => Err(value.key_error(format!(
            "`{}` needs a sign-in or a refresh token; make it a profile of its own, and write `profile:` with its name here",
            value.key
        ))),
        _ => Ok(settings),
    }
}

fn read_settings(table: &Table<'_>, context: Context<'_>, preset: Preset) -> Read<TokenSettings> {
    let fetch_timeout = table.optional("fetch_timeout", Value::seconds);
    let default_lifetime = table.optional("default_lifetime", Value::seconds);
    let links = RefCell::new(Vec::new());
    let add = |key: String, value: &Value<'_>| {
        let token = read_link(value, context)?;
        links.borrow_mut().push(Link { key, token });
        Ok::<_, Reported>(())
    };
    let reader = LinkReader::new(&add);
    let mut settings = match preset {
        Some(preset) => preset.read(table, &reader, context.base_url),
        None => read_from(table, context, &reader),
    }?;
    for link in links.take() {
        settings.adopt(link);
    }
    // Otherwise a command would be killed after its own default, whatever the file allows it.
    if let (TokenFrom::Secret(SecretRef::Command(command)), Some(timeout)) =
        (&mut settings.from, fetch_timeout)
    {
        **command = (**command).clone().timeout(timeout);
    }
    Ok(TokenSettings {
        fetch_timeout,
        default_lifetime: default_lifetime.or(settings.default_lifetime),
        ..settings
    })
}

fn read_from(
    table: &Table<'_>,
    context: Context<'_>,
    links: &LinkReader<'_>,
) -> Read<TokenSettings> {
    let from = match table.at_most_one("source", "grant")? {
        (Some(source), _) if source.is_profile() => return read_reference(&source),
        (Some(source), _) if source.is(grant_names::HTTP) => {
            TokenFrom::Http(Box::new(http::read(table, links)?))
        }
        (Some(source), _) if source.is(grant_names::SIGNED_JWT) => {
            TokenFrom::SignedJwt(Box::new(signed_jwt::read(table)?))
        }
        (Some(source), _) => {
            TokenFrom::Secret(helper::read(table, source.secret()?, context.base_url)?)
        }
        (_, Some(name)) => {
            let grant = grant::read(table, &name, context.base_url, links)?;
            TokenFrom::Grant(Box::new(grant))
        }
        (None, None) => TokenFrom::Basic(read_basic(table)?),
    };
    Ok(TokenSettings::new(from))
}

/// Reads a user and a password. Without a user, there is nothing that a token could come from.
fn read_basic(table: &Table<'_>) -> Read<BasicToken> {
    let password = table.get("password");
    let password = password.map(|value| value.secret()).transpose();
    let Some(user) = table.get("user") else {
        return Err(table.error(
            "the token has no source; set `source`, such as \"command:gh auth token\", or `grant`, such as \
             \"client_credentials\", or `preset`, or `user` and `password`",
        ));
    };
    let basic = BasicToken::of(&user.text()?, password?);
    basic.map_err(|problem| user.error(format!("`user` {problem}")))
}

/// The table `[profiles.name.token]`.
pub(in crate::profile) static KEYS: TableKeys = TableKeys {
    one_of: &[&["source", "grant", "user"]],
    exclusive: &[
        http::EXCLUSIVE[0],
        http::EXCLUSIVE[1],
        http::EXCLUSIVE[2],
        ["source", "grant"],
        ["client_assertion", "client_authentication"],
        ["client_assertion", "client_secret"],
        ["header", "scheme"],
        ["issuer", "token_endpoint"],
        ["dpop_key", "header"],
        ["dpop_key", "scheme"],
        ["assertion", "subject"],
        ["assertion", "assertion_audience"],
    ],
    // A stored assertion needs no key to sign it.
    conditions: &[
        Condition {
            keys: &["helper"],
            key: "source",
            word: "command:",
        },
        Condition {
            keys: &["assertion", "private_key"],
            key: "client_authentication",
            word: "private_key_jwt",
        },
        // Elsewhere a client that has an assertion signs nothing.
        Condition {
            keys: &["client_assertion", "private_key"],
            key: "grant",
            word: grant_names::JWT_BEARER,
        },
    ],
    variants: VARIANTS,
    ..TableKeys::new(
        "token",
        "Where a token comes from, and where in a request it goes",
        &[
            OWN_KEYS,
            PLACEMENT_KEYS,
            TIME_KEYS,
            grant_keys::KEYS,
            client::KEYS,
            sign_in::KEYS,
            http::KEYS,
            signed_jwt::KEYS,
        ],
    )
};

const VARIANTS: &[Variant] = &{
    const N: usize = grant_keys::VARIANTS.len();
    let mut all = [const { Variant::with_key("source").except(SOURCES) }; N + 4];
    let mut at = 0;
    while at < N {
        all[at] = grant_keys::VARIANTS[at];
        at += 1;
    }
    all[N + 1] = Variant::with_key("user");
    all[N + 2] = Variant::with_word("source", grant_names::HTTP, &["url"]);
    all[N + 3] = Variant::with_word("source", grant_names::SIGNED_JWT, &["private_key"]);
    all
};

const OWN_KEYS: &[Key] = &[
    Key::new(
        "source",
        Kind::Source(|| SOURCES.to_vec()),
        "a reference to the token: a file, a command, a variable, an entry of the keyring or another profile; or `http` or `signed_jwt`",
    )
    .only(&["source", grant_names::HTTP, grant_names::SIGNED_JWT]),
    Key::new(
        "helper",
        Kind::WordOrTable(helper::protocols, &helper::HELPER),
        "the protocol in which the command of `source` is asked, or a table with more about it",
    )
    .default("none: the command gets no request")
    .only(&["source"]),
    Key::new("grant", Kind::Word(grant::names), "the OAuth 2.0 grant").only(grant_names::ALL),
    Key::new(
        "user",
        Kind::SecretOrName("password"),
        "the name of the user, or a reference to it; without `password`, a reference",
    )
    .only(&["user"]),
    Key::new("password", Kind::Secret, "reference to the password")
        .default("empty")
        .only(&["user"]),
];

/// Sources with settings of their own.
const SOURCES: &[&str] = &[grant_names::HTTP, grant_names::SIGNED_JWT];

/// The keys about times. Presets have them too.
pub(in crate::profile) const TIME_KEYS: &[Key] = &[
    Key::new(
        "default_lifetime",
        Kind::Seconds,
        "how long a token without an expiry is used, in seconds",
    )
    .default("until it is rejected"),
    Key::new(
        "fetch_timeout",
        Kind::Seconds,
        "how long getting a token may take, in seconds",
    )
    .default("30"),
];
