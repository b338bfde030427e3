//! What must come of a case: what each server receives, and what the caller gets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::outcome::ErrorName;

/// What must come of a case. A server that is not mentioned must receive nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// What each server receives.
    pub at: BTreeMap<String, Arrivals>,
    /// What the caller gets for each request.
    pub caller: Vec<Ending>,
    /// How often the source is called, unless that does not matter.
    pub fetches: Option<u32>,
}

/// What one server receives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Exactly these requests, in this order.
    These(Vec<Arrival>),
    /// Any requests, or none, but no token.
    WithoutToken,
    /// At most this many requests, with or without a token.
    AtMost(usize),
    /// Any requests, or none, with or without a token.
    Anything,
}

/// One request as it arrives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// The method.
    pub method: String,
    /// The path, and the query if there is one.
    pub path: String,
    /// The token. Without one, no field of the head may hold a token.
    pub token: Option<String>,
    /// The body.
    pub body: ArrivedBody,
    /// Header fields with this value; `None` for fields that must not be there.
    pub headers: Vec<(String, Option<String>)>,
    /// The host and port in the request line, which a client sends to a proxy only.
    pub target: Option<String>,
}

/// The body as it arrives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArrivedBody {
    /// The whole body of the request of this index.
    Whole(usize),
    /// No body.
    None,
    /// It does not matter, for instance because the connection broke meanwhile.
    Anything,
}

/// What the caller gets for one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// A response.
    Response {
        /// The status.
        status: u16,
        /// The whole body, unless it does not matter.
        body: Option<String>,
        /// Header fields with this value.
        headers: Vec<(String, String)>,
    },
    /// One of these errors.
    Error(Vec<ErrorName>),
    /// It does not matter.
    Anything,
}

impl Expectation {
    /// The servers that may receive a token.
    #[must_use]
    pub fn may_have_a_token(&self, server: &str) -> bool {
        match self.at.get(server) {
            Some(Arrivals::Anything | Arrivals::AtMost(_)) => true,
            Some(Arrivals::These(arrivals)) => arrivals.iter().any(|a| a.token.is_some()),
            Some(Arrivals::WithoutToken) | None => false,
        }
    }
}
