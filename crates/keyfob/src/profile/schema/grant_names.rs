//! Names of grants, by what they have in common.

pub(super) const CLIENT_CREDENTIALS: &str = "client_credentials";
pub(super) const SMART_BACKEND_SERVICES: &str = "smart_backend_services";
pub(super) const CUSTOM: &str = "custom";
pub(super) const REFRESH_TOKEN: &str = "refresh_token";
pub(super) const JWT_BEARER: &str = "jwt_bearer";
pub(super) const TOKEN_EXCHANGE: &str = "token_exchange";
pub(super) const DEVICE_CODE: &str = "device_code";
pub(super) const AUTHORIZATION_CODE: &str = "authorization_code";

pub(super) const ALL: &[&str] = &[
    CLIENT_CREDENTIALS,
    SMART_BACKEND_SERVICES,
    CUSTOM,
    REFRESH_TOKEN,
    JWT_BEARER,
    TOKEN_EXCHANGE,
    DEVICE_CODE,
    AUTHORIZATION_CODE,
];

/// The word of `source` for a JWT that is signed here.
pub(super) const SIGNED_JWT: &str = "signed_jwt";

/// The word of `source` for an HTTP request.
pub(super) const HTTP: &str = "http";

/// What sends requests to a server.
pub(super) const ALL_AND_HTTP: &[&str] = &[
    CLIENT_CREDENTIALS,
    SMART_BACKEND_SERVICES,
    CUSTOM,
    REFRESH_TOKEN,
    JWT_BEARER,
    TOKEN_EXCHANGE,
    DEVICE_CODE,
    AUTHORIZATION_CODE,
    HTTP,
];

/// What signs with a private key.
pub(super) const WITH_KEY: &[&str] = &[
    CLIENT_CREDENTIALS,
    SMART_BACKEND_SERVICES,
    CUSTOM,
    REFRESH_TOKEN,
    JWT_BEARER,
    TOKEN_EXCHANGE,
    DEVICE_CODE,
    AUTHORIZATION_CODE,
    SIGNED_JWT,
];

/// SMART prescribes the server, the authentication and the parameters.
pub(super) const ALL_BUT_SMART: &[&str] = &[
    CLIENT_CREDENTIALS,
    CUSTOM,
    REFRESH_TOKEN,
    JWT_BEARER,
    TOKEN_EXCHANGE,
    DEVICE_CODE,
    AUTHORIZATION_CODE,
];

pub(super) const SIGN_INS: &[&str] = &[DEVICE_CODE, AUTHORIZATION_CODE];

/// A person signs in to the others.
pub(super) const WITHOUT_SIGN_IN: &[&str] = &[
    CLIENT_CREDENTIALS,
    SMART_BACKEND_SERVICES,
    CUSTOM,
    REFRESH_TOKEN,
    JWT_BEARER,
    TOKEN_EXCHANGE,
];
