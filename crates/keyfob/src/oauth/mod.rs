//! Tokens from OAuth 2.0 servers: the machine-to-machine grants, sign-in for people, and what is around them.
//!
//! A [`Client`] says who asks and where. A grant makes a [`TokenSource`](crate::TokenSource) of it, which a session or a
//! [`TokenCache`](crate::TokenCache) takes as it takes any other:
//!
//! | grant | source |
//! |---|---|
//! | the client's own credentials (RFC 6749 §4.4) | [`ClientCredentials`] |
//! | the same for FHIR servers (SMART Backend Services) | [`SmartBackendServices`] |
//! | a refresh token, which may rotate (RFC 6749 §6) | [`RefreshToken`] |
//! | a signed assertion about somebody (RFC 7523 §2.1) | [`JwtBearer`] |
//! | a token of somebody else's (RFC 8693) | [`TokenExchange`] |
//!
//! Where a person has to sign in, [`AuthorizationCode`] (with a browser on this machine) and [`DeviceCode`] (with one on any)
//! get the first token; [`RefreshToken`] goes on from there.
//!
//! Tokens can be bound to a key that each request proves to have (RFC 9449): give the client, and the
//! session, layer or middleware that sends its tokens, the same [`DpopProver`].
//!
//! [`Client::introspect`] and [`Client::revoke`] work with the token of any session.

pub(crate) mod authorization_code;
pub(crate) mod client;
pub(crate) mod client_authentication;
pub(crate) mod client_builder;
pub(crate) mod device_code;
pub(crate) mod discovery;
pub(crate) mod dpop;
pub(crate) mod endpoint;
pub(crate) mod error_response;
pub(crate) mod form;
pub(crate) mod grants;
pub(crate) mod introspection;
pub(crate) mod metadata;
pub(crate) mod revocation;
pub(crate) mod signing_key;
pub(crate) mod token_response;

pub use crate::oauth::authorization_code::{AuthorizationCode, AuthorizationRequest};
pub use crate::oauth::client::Client;
pub use crate::oauth::client_authentication::{Audience, ClientAuthentication};
pub use crate::oauth::client_builder::ClientBuilder;
pub use crate::oauth::device_code::{DeviceAuthorization, DeviceCode};
pub use crate::oauth::dpop::DpopProver;
pub use crate::oauth::grants::client_credentials::ClientCredentials;
pub use crate::oauth::grants::jwt_bearer::JwtBearer;
pub use crate::oauth::grants::refresh_token::RefreshToken;
pub use crate::oauth::grants::smart_backend_services::SmartBackendServices;
pub use crate::oauth::grants::token_exchange::{TokenExchange, TokenType};
pub use crate::oauth::introspection::Introspection;
pub use crate::oauth::signing_key::{Algorithm, SigningKey};
