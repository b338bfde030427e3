//! The servers of the load test: tokens that live for a second, and an API that fails in every way, but never twice in a row.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyfob_testkit::{Api, Received, ScriptedResponse, Server, TokenEndpoint};
use serde::{Deserialize, Serialize};

/// Where the servers are. The first line that they print.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Addresses {
    pub(crate) token_url: String,
    pub(crate) api_url: String,
}

/// What the servers counted. Their last line.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Counts {
    pub(crate) tokens: u64,
    pub(crate) requests: u64,
    /// Requests with a token that had expired, or with none.
    pub(crate) expired: u64,
    /// Requests that got a fault, of each kind.
    pub(crate) faults: u64,
}

/// What happens to the first attempt of a request. The number of the request decides, so that clients know it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Unauthorized,
    Unavailable,
    Reset,
    /// Each attempt: the head arrives, and then half of the body.
    CutBody,
}

impl Fault {
    pub(crate) fn of(request: u64) -> Self {
        match request {
            _ if request.is_multiple_of(997) => Self::Unauthorized,
            _ if request.is_multiple_of(97) => Self::Unavailable,
            _ if request.is_multiple_of(89) => Self::Reset,
            _ if request.is_multiple_of(83) => Self::CutBody,
            _ => Self::None,
        }
    }

    /// Whether the caller gets an error, because the rules forbid to send the request again (R4, R6).
    pub(crate) fn fails(self, request: u64) -> bool {
        match self {
            Self::CutBody => true,
            Self::Reset => is_post(request),
            Self::None | Self::Unauthorized | Self::Unavailable => false,
        }
    }

    fn response(self) -> Option<ScriptedResponse> {
        match self {
            Self::None | Self::CutBody => None,
            Self::Unauthorized => Some(ScriptedResponse::unauthorized(
                "Bearer error=\"invalid_token\"",
            )),
            Self::Unavailable => Some(ScriptedResponse::unavailable().header("retry-after", "0")),
            Self::Reset => Some(ScriptedResponse::reset()),
        }
    }
}

pub(crate) fn is_post(request: u64) -> bool {
    request.is_multiple_of(10)
}

/// Runs the servers until the standard input ends.
pub(crate) fn run() {
    let endpoint = TokenEndpoint::start();
    endpoint.issuer().set_lifetime(TOKEN_LIFETIME);
    let server = Server::builder().request_limit(0);
    let api = Api::start_on(server, endpoint.issuer().clone());
    let faults = Arc::new(AtomicU64::new(0));
    let unauthorized = Arc::new(AtomicU64::new(0));
    let begun = Mutex::new(HashSet::new());
    let counts = (Arc::clone(&faults), Arc::clone(&unauthorized));
    api.respond_with(move |received| {
        let request = number(received);
        let fault = Fault::of(request);
        let is_first = begun.lock().unwrap().insert(request);
        let planned = fault.response().filter(|_| is_first);
        if planned.is_some() || fault == Fault::CutBody {
            counts.0.fetch_add(1, Ordering::Relaxed);
        }
        if planned.is_some() && fault == Fault::Unauthorized {
            counts.1.fetch_add(1, Ordering::Relaxed);
        }
        let whole = ScriptedResponse::bytes(vec![b'x'; BODY]);
        planned.unwrap_or(match fault {
            Fault::CutBody => whole.cut_body_after(BODY as u64 / 2),
            _ => whole,
        })
    });
    print(&Addresses {
        token_url: endpoint.url(),
        api_url: api.url(),
    });
    io::copy(&mut io::stdin().lock(), &mut io::sink()).unwrap();
    print(&Counts {
        tokens: endpoint.issuer().issued(),
        requests: api.requests(),
        expired: api.count(401) - unauthorized.load(Ordering::Relaxed),
        faults: faults.load(Ordering::Relaxed),
    });
}

fn number(received: &Received) -> u64 {
    let number = received.path.trim_start_matches('/');
    number.parse().expect("the number of the request as path")
}

fn print(value: &impl Serialize) {
    println!("{}", serde_json::to_string(value).unwrap());
}

/// The size of a whole response body, in bytes.
pub(crate) const BODY: usize = 1024;

const TOKEN_LIFETIME: Duration = Duration::from_secs(1);
