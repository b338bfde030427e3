//! What the fakes of all platforms share.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use crate::lock::lock;
use crate::platforms::clock::FakeClock;
use crate::platforms::refusal::Refusal;
use crate::server::expect::Expect;
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;
use crate::server::server::Server;

/// One platform: how it responds to a request.
pub trait Platform: Send + Sync + 'static {
    /// Responds to a request, or refuses it.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if the platform would refuse the request.
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal>;

    /// The response while the platform limits how often it is called.
    fn throttled(&self, retry_after: u64) -> ScriptedResponse {
        ScriptedResponse::too_many_requests(&retry_after.to_string())
    }

    /// The response while the platform is down.
    fn outage(&self) -> ScriptedResponse {
        ScriptedResponse::unavailable()
    }
}

/// The ways to start the fake of a platform, whose `new` needs only the clock.
macro_rules! starts {
    ($platform:ty) => {
        impl $platform {
            /// Starts the fake with the clock of the system.
            #[must_use]
            pub fn start() -> crate::platforms::fake::Fake<Self> {
                Self::start_on(crate::platforms::clock::FakeClock::default())
            }

            /// Starts the fake with this clock.
            #[must_use]
            pub fn start_on(
                clock: impl Into<crate::platforms::clock::FakeClock>,
            ) -> crate::platforms::fake::Fake<Self> {
                crate::platforms::fake::Fake::start(clock, Self::new)
            }
        }
    };
}

pub(super) use starts;

/// A running fake of a platform.
///
/// It dereferences to the platform, which has the settings and the keys of that platform.
pub struct Fake<P> {
    server: Server,
    clock: FakeClock,
    state: Arc<State<P>>,
}

struct State<P> {
    platform: P,
    log: Mutex<Log>,
    condition: Mutex<Condition>,
}

#[derive(Default)]
struct Log {
    accepted: Vec<String>,
    refused: Vec<String>,
}

/// How the platform is.
#[derive(Default)]
enum Condition {
    #[default]
    Working,
    Throttled {
        retry_after: u64,
    },
    Down,
    /// Responds with these first; after the last one it works again.
    Scripted(Vec<ScriptedResponse>),
}

impl<P: Platform> Fake<P> {
    /// Starts the platform with this clock.
    #[must_use]
    pub fn start(clock: impl Into<FakeClock>, platform: impl FnOnce(&FakeClock) -> P) -> Self {
        let clock = clock.into();
        let state = Arc::new(State {
            platform: platform(&clock),
            log: Mutex::default(),
            condition: Mutex::default(),
        });
        let server = Server::start();
        let (responder, dates) = (Arc::clone(&state), clock.clone());
        server.expect(Expect::any().respond_with(move |received| {
            let response = responder.respond(received);
            match response.status_code() {
                // Clients compare it with their own clock.
                Some(_) => response.header("date", &dates.http_date()),
                None => response,
            }
        }));
        Self {
            server,
            clock,
            state,
        }
    }

    /// The base URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The URL of a path (and query) that starts with `/`.
    #[must_use]
    pub fn url_for(&self, path: &str) -> String {
        self.server.url_for(path)
    }

    /// The underlying server, which has the received requests.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The clock of the platform.
    #[must_use]
    pub fn clock(&self) -> &FakeClock {
        &self.clock
    }

    /// How many requests it accepted.
    #[must_use]
    pub fn accepted(&self) -> usize {
        lock(&self.state.log).accepted.len()
    }

    /// How many requests to this path it accepted.
    #[must_use]
    pub fn accepted_at(&self, path: &str) -> usize {
        let log = lock(&self.state.log);
        log.accepted.iter().filter(|found| *found == path).count()
    }

    /// Why it refused requests, oldest first.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        lock(&self.state.log).refused.clone()
    }

    /// Refuses all requests from now on because there are too many, with this number of seconds to wait.
    pub fn throttle(&self, retry_after: u64) -> &Self {
        self.set(Condition::Throttled { retry_after })
    }

    /// Is down from now on.
    pub fn go_down(&self) -> &Self {
        self.set(Condition::Down)
    }

    /// Works again.
    pub fn recover(&self) -> &Self {
        self.set(Condition::Working)
    }

    /// Gives these responses to the next requests, one each, whatever the requests are.
    pub fn next(&self, responses: impl IntoIterator<Item = ScriptedResponse>) -> &Self {
        let mut responses: Vec<_> = responses.into_iter().collect();
        responses.reverse();
        self.set(Condition::Scripted(responses))
    }

    fn set(&self, condition: Condition) -> &Self {
        *lock(&self.state.condition) = condition;
        self
    }
}

impl<P: Platform> State<P> {
    fn respond(&self, request: &Received) -> ScriptedResponse {
        if let Some((reason, response)) = self.unusual_response() {
            lock(&self.log).refused.push(reason);
            return response;
        }
        let responded = self.platform.respond(request);
        let mut log = lock(&self.log);
        match responded {
            Ok(response) => {
                log.accepted.push(request.path.clone());
                response
            }
            Err(refusal) => {
                log.refused.push(refusal.reason);
                *refusal.response
            }
        }
    }

    /// The response of a platform that is throttled, down or scripted.
    fn unusual_response(&self) -> Option<(String, ScriptedResponse)> {
        let mut condition = lock(&self.condition);
        let (reason, response) = match &mut *condition {
            Condition::Working => return None,
            Condition::Throttled { retry_after } => {
                ("throttled", self.platform.throttled(*retry_after))
            }
            Condition::Down => ("down", self.platform.outage()),
            Condition::Scripted(responses) => ("scripted", responses.pop()?),
        };
        Some((reason.to_owned(), response))
    }
}

impl<P> Deref for Fake<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.state.platform
    }
}

impl<P> fmt::Debug for Fake<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fake")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
