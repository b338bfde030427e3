//! The tower layer: a credential on every request that a client service sends.

pub(crate) mod kept_head;
pub(crate) mod layer;
pub(crate) mod replay;
pub(crate) mod service;

pub use crate::client::tower::layer::{
    AuthenticationLayer, AuthenticationLayerBuilder, AuthenticationService,
};
pub use crate::client::tower::replay::{
    BufferedBody, ReplayBody, ReplayBuffered, ReplayCloned, ReplayEmpty,
};
