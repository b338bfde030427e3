//! The keys of grants, and what each grant requires.

use crate::profile::key::{Key, Kind, Variant};
use crate::profile::schema::grant_names::{
    ALL, ALL_AND_HTTP, ALL_BUT_SMART, AUTHORIZATION_CODE, CLIENT_CREDENTIALS, CUSTOM, DEVICE_CODE,
    JWT_BEARER, REFRESH_TOKEN, SMART_BACKEND_SERVICES, TOKEN_EXCHANGE, WITHOUT_SIGN_IN,
};

/// A server that its metadata or its token endpoint names.
const SERVER: &[&[&str]] = &[&["issuer", "token_endpoint"]];

/// A server that knows the client by its assertion needs no identifier.
const CLIENT_AND_SERVER: &[&[&str]] = &[
    &["client_id", "client_assertion"],
    &["issuer", "token_endpoint"],
];

/// What each grant requires.
pub(super) const VARIANTS: &[Variant] = &[
    of(CLIENT_CREDENTIALS, &[]).one_of(CLIENT_AND_SERVER),
    of(SMART_BACKEND_SERVICES, &["client_id", "private_key"]),
    of(CUSTOM, &["grant_type"]).one_of(CLIENT_AND_SERVER),
    of(REFRESH_TOKEN, &["refresh_token"]).one_of(CLIENT_AND_SERVER),
    of(JWT_BEARER, &[]).one_of(&[&["issuer", "token_endpoint"], &["assertion", "private_key"]]),
    of(TOKEN_EXCHANGE, &["subject_token"]).one_of(SERVER),
    of(DEVICE_CODE, &["client_id"]).one_of(SERVER),
    of(AUTHORIZATION_CODE, &["client_id"]).one_of(SERVER),
];

const fn of(grant: &'static str, required: &'static [&'static str]) -> Variant {
    Variant::with_word("grant", grant, required)
}

/// The keys of grants, besides those of a client and of a sign-in.
pub(super) const KEYS: &[Key] = &[
    Key::new(
        "issuer",
        Kind::Url,
        "the server's own name, character by character; its metadata contain the token endpoint (RFC 8414)",
    )
    .only(ALL_BUT_SMART),
    Key::new(
        "token_endpoint",
        Kind::Url,
        "the token endpoint, instead of `issuer`",
    )
    .only(ALL_BUT_SMART),
    Key::new(
        "fhir_server",
        Kind::Url,
        "the FHIR server, whose SMART configuration contains the token endpoint",
    )
    .default("base_url")
    .only(&[SMART_BACKEND_SERVICES]),
    Key::new(
        "allow_plain_http",
        Kind::Origin,
        "the origin at which the server may be reached over plain http although it is not this machine",
    )
    .default("none")
    .only(ALL_AND_HTTP),
    Key::new(
        "scopes",
        Kind::Texts,
        "a scope, several scopes separated by spaces, or a list",
    )
    .default("none")
    .only(ALL),
    Key::new("audience", Kind::Texts, "an audience, or a list")
        .default("none")
        .only(ALL_BUT_SMART),
    Key::new(
        "resource",
        Kind::Texts,
        "the URL of an API, or a list (RFC 8707)",
    )
    .default("none")
    .only(ALL_BUT_SMART),
    Key::new(
        "parameters",
        Kind::TextsByName,
        "a table of further parameters without secrets",
    )
    .default("none")
    .only(ALL),
    Key::new(
        "secret_parameters",
        Kind::SecretsByName,
        "a table of further parameters that are secrets: the name of each, and a reference",
    )
    .default("none")
    .only(WITHOUT_SIGN_IN),
    Key::new(
        "token_type",
        Kind::Name,
        "the word before the token in `Authorization`, whatever `token_type` the server writes",
    )
    .default("Bearer")
    .only(ALL_BUT_SMART),
    Key::new(
        "use_id_token",
        Kind::Flag,
        "whether the ID token of a response is the token",
    )
    .default("false")
    .only(ALL_BUT_SMART),
    Key::new(
        "dpop_key",
        Kind::Secret,
        "reference to the private key that tokens are bound to (DPoP, RFC 9449), in PEM or as a JWK",
    )
    .default("none")
    .only(ALL),
    Key::new(
        "dpop_key_passphrase",
        Kind::Secret,
        "reference to the passphrase of that key",
    )
    .default("none")
    .only(ALL)
    .needs("dpop_key"),
    Key::new(
        "grant_type",
        Kind::Text,
        "a grant type that the server defines, a word or a URI",
    )
    .only(&[CUSTOM]),
    Key::new(
        "refresh_token",
        Kind::Secret,
        "reference to the first refresh token; later ones are in the store",
    )
    .only(&[REFRESH_TOKEN]),
    Key::new("assertion", Kind::Token, "reference to a JWT, or a table").only(&[JWT_BEARER]),
    Key::new(
        "subject",
        Kind::Text,
        "the subject of the JWT that `private_key` signs",
    )
    .default("the client")
    .only(&[JWT_BEARER])
    .needs("private_key"),
    Key::new(
        "subject_token",
        Kind::Token,
        "reference to the token to exchange, or a table",
    )
    .only(&[TOKEN_EXCHANGE]),
    Key::new(
        "subject_token_type",
        Kind::Text,
        "its type: `access_token`, `jwt`, `id_token`, `saml2` or a URI",
    )
    .default("access_token")
    .only(&[TOKEN_EXCHANGE]),
    Key::new(
        "actor_token",
        Kind::Token,
        "reference to the token of the party that acts, or a table",
    )
    .only(&[TOKEN_EXCHANGE]),
    Key::new(
        "actor_token_type",
        Kind::Text,
        "its type, as with `subject_token_type`",
    )
    .default("access_token")
    .only(&[TOKEN_EXCHANGE]),
    Key::new(
        "requested_token_type",
        Kind::Text,
        "the type of token that is asked for, as with `subject_token_type`",
    )
    .only(&[TOKEN_EXCHANGE]),
];
