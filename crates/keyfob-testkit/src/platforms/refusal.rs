//! Why a platform refused a request, and its response.

use http::Method;

use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// A request that a platform refuses: the reason for the test's log, and the response in the platform's form.
///
/// The reason may say more than the response: platforms hide why they refuse, and a test wants to know.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub(crate) reason: String,
    pub(crate) response: Box<ScriptedResponse>,
}

impl Refusal {
    /// Refuses with this response, and logs this reason.
    #[must_use]
    pub fn new(reason: impl Into<String>, response: ScriptedResponse) -> Self {
        Self {
            reason: reason.into(),
            response: Box::new(response),
        }
    }
}

/// Checks that many fakes make of a request. Each returns the reason why the request is refused.
impl Received {
    /// Checks the method and the path.
    pub(crate) fn is_to(&self, method: &Method, path: &str) -> bool {
        self.method == *method && self.path == path
    }
}
