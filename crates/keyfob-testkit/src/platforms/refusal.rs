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

    /// Returns the decoded form field, or the reason that it is missing or empty.
    pub(crate) fn needed_form_value(&self, name: &str) -> Result<String, String> {
        let value = self.form_value(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("the form has no `{name}`"))
    }

    /// Checks that the body is declared as a form.
    pub(crate) fn needs_form(&self) -> Result<(), String> {
        self.needs_content_type("application/x-www-form-urlencoded")
    }

    /// Checks the media type of the body; parameters do not count.
    pub(crate) fn needs_content_type(&self, wanted: &str) -> Result<(), String> {
        let sent = self.header("content-type").unwrap_or("none");
        let media_type = sent.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case(wanted) {
            return Ok(());
        }
        Err(format!("the content type is {sent}, not {wanted}"))
    }
}
