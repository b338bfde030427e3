//! A resource server that requires a bound token, a proof with each request, and optionally a nonce.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use keyfob::oauth::{Algorithm, DpopProver, SigningKey};
use keyfob::session::SessionBuilder;
use keyfob::{FixedToken, RetryPolicy, Session, Token, TokenCache};
use keyfob_testkit::{Expect, ManualClock, Received, ScriptedResponse, Server};

use crate::received_proof::{Proof, hash};

/// The server, and the requests that it received.
pub(crate) struct Resource {
    pub(crate) server: Server,
    shared: Arc<SharedState>,
}

struct SharedState {
    base: String,
    now: SystemTime,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The nonce that a proof must have, if any.
    nonce: Option<String>,
    nonces_made: u32,
    rotation: Rotation,
    revoked: HashSet<String>,
    identifiers: HashSet<String>,
    /// The status of each response, and the proof of its request.
    seen: Vec<(u16, Option<Proof>)>,
    faults: Vec<String>,
}

/// When the server changes its nonce.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Rotation {
    #[default]
    Never,
    /// After each good response, which contains the next one.
    OnSuccess,
    /// After each refusal, so that the nonce in it is never valid.
    OnRefusal,
}

impl Resource {
    pub(crate) fn start(clock: &ManualClock) -> Self {
        let server = Server::start();
        let shared = Arc::new(SharedState {
            base: server.url(),
            now: clock.wall(),
            state: Mutex::default(),
        });
        let responder = Arc::clone(&shared);
        server.expect(Expect::any().respond_with(move |received| responder.respond(received)));
        Self { server, shared }
    }

    /// Requires a new nonce from now on.
    pub(crate) fn change_nonce(&self) -> &Self {
        self.shared.state().next_nonce();
        self
    }

    pub(crate) fn rotate(&self, rotation: Rotation) -> &Self {
        self.shared.state().rotation = rotation;
        self
    }

    pub(crate) fn revoke(&self, token: &str) -> &Self {
        self.shared.state().revoked.insert(token.to_owned());
        self
    }

    /// The status of each response so far. Panics if a request had an error that has nothing to do with the nonce.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let state = self.shared.state();
        assert_eq!(state.faults, [""; 0]);
        state.seen.iter().map(|(status, _)| *status).collect()
    }

    /// The proofs so far. Each request had one.
    pub(crate) fn proofs(&self) -> Vec<Proof> {
        let state = self.shared.state();
        assert_eq!(state.faults, [""; 0]);
        let proofs = state.seen.iter().map(|(_, proof)| proof.clone().unwrap());
        proofs.collect()
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.shared.state().faults.clone()
    }
}

impl State {
    fn next_nonce(&mut self) {
        self.nonces_made += 1;
        self.nonce = Some(format!("nonce-{}", self.nonces_made));
    }
}

impl SharedState {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn respond(&self, received: &Received) -> ScriptedResponse {
        let mut state = self.state();
        let proof = self.proof(received, &mut state);
        let nonce = proof.as_ref().map(|proof| proof.claim("nonce").to_owned());
        let token = token(received).unwrap_or_default();
        let response = if proof.is_none() {
            ScriptedResponse::unauthorized("DPoP algs=\"ES256\", error=\"invalid_dpop_proof\"")
        } else if state.nonce.is_some() && state.nonce != nonce {
            let wanted = state.nonce.clone().unwrap_or_default();
            if state.rotation == Rotation::OnRefusal {
                state.next_nonce();
            }
            ScriptedResponse::unauthorized("Bearer, DPoP error=\"use_dpop_nonce\"")
                .header("dpop-nonce", &wanted)
        } else if state.revoked.contains(&token) {
            ScriptedResponse::unauthorized("DPoP error=\"invalid_token\"")
        } else {
            let response = good(received);
            match state.rotation {
                Rotation::OnSuccess => {
                    state.next_nonce();
                    response.header("dpop-nonce", &state.nonce.clone().unwrap_or_default())
                }
                _ => response,
            }
        };
        let status = response.status_code().unwrap_or_default();
        state.seen.push((status, proof));
        response
    }

    /// The proof of a request, if it satisfies all of RFC 9449 §4.3 except the nonce.
    fn proof(&self, received: &Received, state: &mut State) -> Option<Proof> {
        let checked = self.check(received, state);
        checked.map_err(|fault| state.faults.push(fault)).ok()
    }

    fn check(&self, received: &Received, state: &mut State) -> Result<Proof, String> {
        let fields: Vec<_> = received.headers.get_all("dpop").iter().collect();
        let [field] = fields.as_slice() else {
            return Err(format!("{} proofs", fields.len()));
        };
        let text = field.to_str().map_err(|error| error.to_string())?;
        let proof = Proof::verified(text)?;
        let token = token(received).ok_or("no token that is bound to a key")?;
        let uri = format!("{}{}", self.base, received.path);
        let wanted = [
            ("htm", received.method.as_str().to_owned()),
            ("htu", uri),
            ("ath", hash(&token)),
        ];
        for (name, value) in wanted {
            if proof.claim(name) != value {
                return Err(format!("{name} is not {value}: {}", proof.claims));
            }
        }
        let now = self.now.duration_since(SystemTime::UNIX_EPOCH);
        if proof.claims["iat"] != now.unwrap_or_default().as_secs() {
            return Err(format!("it is from another time: {}", proof.claims));
        }
        let identifier = proof.claim("jti");
        if identifier.len() < 16 || !state.identifiers.insert(identifier.to_owned()) {
            return Err(format!("{identifier} was there before"));
        }
        Ok(proof)
    }
}

/// The behavior of the paths of this server.
fn good(received: &Received) -> ScriptedResponse {
    match (received.path.as_str(), &received.query) {
        ("/redirect", Some(to)) => ScriptedResponse::redirect(307, to),
        ("/see-other", Some(to)) => ScriptedResponse::redirect(303, to),
        _ => ScriptedResponse::text("fine"),
    }
}

/// The token of `Authorization: DPoP …`, if there is exactly one.
fn token(received: &Received) -> Option<String> {
    let mut fields = received.headers.get_all("authorization").iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let token = field.to_str().ok()?.strip_prefix("DPoP ")?;
    Some(token.to_owned())
}

/// A token that is bound to a key.
pub(crate) fn bound(text: &str) -> Token {
    Token::new(text).unwrap().scheme("DPoP").unwrap()
}

/// A cache that always has this token.
pub(crate) fn fixed(token: Token, clock: &ManualClock) -> TokenCache {
    TokenCache::builder(FixedToken::new(token.clone()))
        .token(token)
        .clock(clock.clone())
        .build()
        .unwrap()
}

/// The default policy without pauses.
pub(crate) fn promptly() -> RetryPolicy {
    RetryPolicy::default().pauses(Duration::ZERO, Duration::ZERO)
}

pub(crate) fn prover() -> DpopProver {
    DpopProver::new(SigningKey::generate(Algorithm::Es256).unwrap())
}

/// A session that sends proofs to one server.
pub(crate) fn builder(server: &Server, clock: &ManualClock) -> SessionBuilder {
    Session::builder(fixed(bound("t0ken"), clock))
        .retry(promptly())
        .base_url(server.url())
        .dpop(prover())
}

/// The proofs that a scripted server received.
pub(crate) fn proofs(server: &Server) -> Vec<Proof> {
    let received = server.received();
    let fields = received.iter().filter_map(|request| request.header("dpop"));
    fields
        .map(|field| Proof::verified(field).unwrap())
        .collect()
}
