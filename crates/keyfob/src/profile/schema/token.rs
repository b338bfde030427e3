//! Where a profile's token comes from: a place that already has it, or an OAuth 2.0 grant.

use std::time::Duration;

use http::HeaderName;
use url::Url;

use crate::profile::basic::BasicToken;
use crate::profile::key::{Condition, Key, Kind, TableKeys, Variant};
use crate::profile::schema::grant::Grant;
use crate::profile::schema::{client, grant, grant_names, sign_in};
use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Read, Table, Value};
use crate::source::placed::Placement;

/// The token of a profile.
#[derive(Clone, Debug)]
pub(crate) struct TokenSettings {
    pub(crate) from: TokenFrom,
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
}

/// Reads `token = "env:NAME"`, or the table `[profiles.name.token]`.
pub(super) fn read(value: &Value<'_>, base_url: Option<&Url>) -> Read<TokenSettings> {
    if value.is_table() {
        return value.table(&KEYS, |table| read_table(table, base_url));
    }
    Ok(TokenSettings {
        from: TokenFrom::Secret(value.secret()?),
        placement: None,
        fetch_timeout: None,
        default_lifetime: None,
    })
}

fn read_table(table: &Table<'_>, base_url: Option<&Url>) -> Read<TokenSettings> {
    let fetch_timeout = table.optional("fetch_timeout", Value::seconds);
    let default_lifetime = table.optional("default_lifetime", Value::seconds);
    let placement = read_placement(table);
    let from = match table.at_most_one("source", "grant")? {
        (Some(source), _) => TokenFrom::Secret(source.secret()?),
        (_, Some(name)) => TokenFrom::Grant(Box::new(grant::read(table, &name, base_url)?)),
        (None, None) => TokenFrom::Basic(read_basic(table)?),
    };
    Ok(TokenSettings {
        from,
        placement: placement?,
        fetch_timeout,
        default_lifetime,
    })
}

/// Reads a user and a password. Without a user, there is nothing that a token could come from.
fn read_basic(table: &Table<'_>) -> Read<BasicToken> {
    let password = table.get("password");
    let password = password.map(|value| value.secret()).transpose();
    let Some(user) = table.get("user") else {
        return Err(table.error(
            "the token has no source; set `source`, such as \"command:gh auth token\", or `grant`, such as \
             \"client_credentials\", or `user` and `password`",
        ));
    };
    let basic = BasicToken::of(&user.text()?, password?);
    basic.map_err(|problem| user.error(format!("`user` {problem}")))
}

fn read_placement(table: &Table<'_>) -> Read<Option<Placement>> {
    // A token that is bound to a key has the scheme `DPoP` (RFC 9449 §7.1).
    if table.has("dpop_key") {
        return Ok(None);
    }
    Ok(match table.at_most_one("header", "scheme")? {
        (Some(header), _) => Some(Placement::header(header_name(&header)?)),
        (_, Some(scheme)) => {
            let placement = Placement::scheme(scheme.text()?);
            Some(placement.map_err(|error| scheme.error(format!("`scheme`: {error}")))?)
        }
        (None, None) => None,
    })
}

fn header_name(value: &Value<'_>) -> Read<HeaderName> {
    HeaderName::try_from(value.text()?).map_err(|_| {
        value.error(format!(
            "`{}` has a character that is not allowed; give a name such as \"x-api-key\"",
            value.key
        ))
    })
}

impl TokenSettings {
    /// True if a token without an expiry may be stored: the server rejects it in time, or the file has a default lifetime.
    pub(crate) fn knows_when_tokens_expire(&self) -> bool {
        self.grant().is_some() || self.default_lifetime.is_some()
    }

    /// All secrets that a token is made from, each with its key in the file.
    ///
    /// A token that is read from a place is none of them.
    pub(crate) fn secrets(&self) -> Vec<(&'static str, &SecretRef)> {
        match &self.from {
            TokenFrom::Secret(_) => Vec::new(),
            TokenFrom::Basic(basic) => basic.secrets(),
            TokenFrom::Grant(grant) => grant.secrets(),
        }
    }

    pub(crate) fn grant(&self) -> Option<&Grant> {
        match &self.from {
            TokenFrom::Secret(_) | TokenFrom::Basic(_) => None,
            TokenFrom::Grant(grant) => Some(grant),
        }
    }
}

/// The table `[profiles.name.token]`.
pub(in crate::profile) static KEYS: TableKeys = TableKeys {
    one_of: &[&["source", "grant", "user"]],
    exclusive: &[
        ["source", "grant"],
        ["header", "scheme"],
        ["issuer", "token_endpoint"],
        ["dpop_key", "header"],
        ["dpop_key", "scheme"],
        ["assertion", "subject"],
        ["assertion", "assertion_audience"],
    ],
    // A stored assertion needs no key to sign it.
    conditions: &[Condition {
        keys: &["assertion", "private_key"],
        key: "client_authentication",
        word: "private_key_jwt",
    }],
    variants: VARIANTS,
    ..TableKeys::new(
        "token",
        "Where a token comes from, and where in a request it goes",
        &[OWN_KEYS, grant::KEYS, client::KEYS, sign_in::KEYS],
    )
};

const VARIANTS: &[Variant] = &{
    const N: usize = grant::VARIANTS.len();
    let mut all = [const { Variant::with_key("source") }; N + 2];
    let mut at = 0;
    while at < N {
        all[at] = grant::VARIANTS[at];
        at += 1;
    }
    all[N + 1] = Variant::with_key("user");
    all
};

const OWN_KEYS: &[Key] = &[
    Key::new(
        "source",
        Kind::Secret,
        "a reference to the token: a file, a command, a variable or an entry of the keyring",
    )
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
    Key::new(
        "header",
        Kind::Name,
        "the header that carries the token without a scheme, instead of `Authorization`",
    )
    .default("none"),
    Key::new(
        "scheme",
        Kind::Name,
        "the word before the token in `Authorization`; not with `header`",
    )
    .default("Bearer"),
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
