//! An issuer of tokens, a token endpoint that hands them out, and an API that checks them.

pub(crate) mod api;
pub(crate) mod issuer;
pub(crate) mod token_endpoint;
pub(crate) mod token_response;
