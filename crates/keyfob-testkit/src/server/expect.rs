//! Which requests are expected, and the responses to them.

use std::fmt;
use std::sync::Arc;

use http::Method;

use crate::server::received::Received;
use crate::server::response::{ScriptedResponse, Upload};
use crate::server::steps::{Count, Responder, Steps};

/// Requests that a [`Server`](crate::Server) expects, and the responses to them in order.
///
/// Each [`respond`](Self::respond) is for one request. [`times`](Self::times) makes it a response to more requests, and
/// [`always`](Self::always) is a response to any number of them. When all responses are used up, the next expectation that
/// matches responds. If there is none, the request is unexpected.
///
/// ```
/// use keyfob_testkit::{ScriptedResponse, Expect, json};
///
/// // One 503, then the data:
/// Expect::get("/data")
///     .respond(ScriptedResponse::unavailable().header("retry-after", "1"))
///     .respond(ScriptedResponse::json(json!({"ok": true})));
/// // Exactly three calls with this token:
/// Expect::post("/jobs").bearer("token-1").respond(ScriptedResponse::status(201)).times(3);
/// // Anything else:
/// Expect::any().always(ScriptedResponse::status(404));
/// // A response that depends on the request, any number of times:
/// Expect::get("/echo").respond_with(|received| ScriptedResponse::text(received.path.as_str()));
/// ```
#[must_use = "an expectation has no effect until it is passed to `Server::expect`"]
pub struct Expect {
    method: Option<Method>,
    path: Option<String>,
    conditions: Vec<Condition>,
    steps: Steps,
}

/// Which requests are expected.
impl Expect {
    /// Expects any request, with any method and path.
    pub fn any() -> Self {
        Self {
            method: None,
            path: None,
            conditions: Vec::new(),
            steps: Steps::default(),
        }
    }

    /// Expects requests for this path (without a query), with any method.
    ///
    /// # Panics
    ///
    /// If the path does not start with `/`, or has a query; see [`query`](Self::query).
    pub fn path(path: &str) -> Self {
        assert!(
            path.starts_with('/') && !path.contains('?'),
            "{path:?} is not a path: it starts with `/` and has no query"
        );
        Self {
            path: Some(path.to_owned()),
            ..Self::any()
        }
    }

    /// Expects requests with this method and path.
    ///
    /// # Panics
    ///
    /// Panics like [`path`](Self::path).
    pub fn method(method: Method, path: &str) -> Self {
        Self {
            method: Some(method),
            ..Self::path(path)
        }
    }

    /// Expects a `GET` of this path.
    pub fn get(path: &str) -> Self {
        Self::method(Method::GET, path)
    }

    /// Expects a `HEAD` of this path.
    pub fn head(path: &str) -> Self {
        Self::method(Method::HEAD, path)
    }

    /// Expects a `POST` to this path.
    pub fn post(path: &str) -> Self {
        Self::method(Method::POST, path)
    }

    /// Expects a `PUT` to this path.
    pub fn put(path: &str) -> Self {
        Self::method(Method::PUT, path)
    }

    /// Expects a `PATCH` of this path.
    pub fn patch(path: &str) -> Self {
        Self::method(Method::PATCH, path)
    }

    /// Expects a `DELETE` of this path.
    pub fn delete(path: &str) -> Self {
        Self::method(Method::DELETE, path)
    }

    /// Only requests that have this header with this value. Other values of the same header are allowed.
    pub fn header(self, name: &str, value: &str) -> Self {
        let (what, name) = (format!("header {name}: {value}"), name.to_owned());
        let value = value.to_owned();
        self.condition(what, Part::Head, move |received| {
            let mut values = received.headers.get_all(&name).iter();
            values.any(|is| is.as_bytes() == value.as_bytes())
        })
    }

    /// Only requests that do not have this header.
    pub fn without_header(self, name: &str) -> Self {
        let (what, name) = (format!("no header {name}"), name.to_owned());
        self.condition(what, Part::Head, move |received| {
            !received.headers.contains_key(&name)
        })
    }

    /// Only requests with `Authorization: Bearer` and this token, and with no other `Authorization`.
    pub fn bearer(self, token: &str) -> Self {
        let (what, token) = (format!("bearer token {token}"), token.to_owned());
        self.condition(what, Part::Head, move |received| {
            received.bearer() == Some(token.as_str())
        })
    }

    /// Only requests whose query has this parameter. Name and value are compared after decoding.
    pub fn query(self, name: &str, value: &str) -> Self {
        let (what, name) = (format!("query {name}={value}"), name.to_owned());
        let value = value.to_owned();
        self.condition(what, Part::Head, move |received| {
            received.query_value(&name).as_ref() == Some(&value)
        })
    }

    /// Only requests whose form has this field. Name and value are compared after decoding.
    pub fn form(self, name: &str, value: &str) -> Self {
        let (what, name) = (format!("form field {name}={value}"), name.to_owned());
        let value = value.to_owned();
        self.condition(what, Part::Body, move |received| {
            received.form_value(&name).as_ref() == Some(&value)
        })
    }

    /// Only requests with this JSON body.
    pub fn json(self, value: serde_json::Value) -> Self {
        self.condition(format!("JSON {value}"), Part::Body, move |received| {
            received.json().as_ref() == Some(&value)
        })
    }

    /// Only requests for which `test` returns true. Reports call this condition `what`.
    pub fn matching(
        self,
        what: &str,
        test: impl Fn(&Received) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.condition(what.to_owned(), Part::Body, test)
    }

    fn condition(
        mut self,
        what: String,
        part: Part,
        test: impl Fn(&Received) -> bool + Send + Sync + 'static,
    ) -> Self {
        let test = Box::new(test);
        self.conditions.push(Condition { what, part, test });
        self
    }
}

/// The responses.
impl Expect {
    /// Responds to one request, after the requests that have a response already.
    ///
    /// # Panics
    ///
    /// If an earlier response is for any number of requests, because this one could never be used.
    pub fn respond(self, response: ScriptedResponse) -> Self {
        self.step(Responder::Fixed(response), Count::exactly(1))
    }

    /// Responds to all further requests with this. There may be none.
    ///
    /// # Panics
    ///
    /// Panics like [`respond`](Self::respond).
    pub fn always(self, response: ScriptedResponse) -> Self {
        self.step(Responder::Fixed(response), Count::at_least(0))
    }

    /// Responds to all further requests with the result of this closure. There may be none.
    ///
    /// The closure runs on the server's thread: while it blocks, the server does not respond to any request. If it panics, the
    /// response is a 599, and the test fails as with an unexpected request.
    ///
    /// # Panics
    ///
    /// Panics like [`respond`](Self::respond).
    pub fn respond_with(
        self,
        respond: impl Fn(&Received) -> ScriptedResponse + Send + Sync + 'static,
    ) -> Self {
        self.step(Responder::Computed(Arc::new(respond)), Count::at_least(0))
    }

    /// Makes the last response one for exactly this many requests.
    ///
    /// # Panics
    ///
    /// If there is no response yet.
    pub fn times(self, calls: usize) -> Self {
        self.count(Count::exactly(calls))
    }

    /// Makes the last response one for this many requests or more.
    ///
    /// # Panics
    ///
    /// If there is no response yet.
    pub fn at_least(self, calls: usize) -> Self {
        self.count(Count::at_least(calls))
    }

    fn step(mut self, responder: Responder, count: Count) -> Self {
        assert!(
            !self.steps.is_endless(),
            "{self}: a response after one for any number of requests is never used"
        );
        self.steps.push(responder, count);
        self
    }

    fn count(mut self, count: Count) -> Self {
        let counted = self.steps.recount(count);
        assert!(
            counted,
            "{self}: the response comes first, and then how many times"
        );
        self
    }
}

/// What the script needs.
impl Expect {
    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    pub(crate) fn is_for(&self, received: &Received) -> bool {
        self.method.as_ref().is_none_or(|m| *m == received.method)
            && self.path.as_ref().is_none_or(|p| *p == received.path)
    }

    /// The first condition that the request does not meet.
    pub(crate) fn unmet(&self, received: &Received) -> Option<&str> {
        let unmet = self.conditions.iter().find(|c| !(c.test)(received));
        unmet.map(|condition| condition.what.as_str())
    }

    /// Decides from the head alone how much of the body to read; `None` if another expectation responds.
    pub(crate) fn upload(&self, head: &Received, calls: usize) -> Option<Upload> {
        if !self.is_for(head) {
            return None;
        }
        let responder = self.steps.responder(calls)?;
        let by_head = |c: &&Condition| c.part == Part::Head;
        if !self
            .conditions
            .iter()
            .filter(by_head)
            .all(|c| (c.test)(head))
        {
            return None;
        }
        let needs_body = self.conditions.iter().any(|c| c.part == Part::Body);
        match responder {
            Responder::Fixed(response) if !needs_body => Some(response.upload),
            _ => Some(Upload::Whole),
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.method {
            Some(method) => write!(f, "{method} ")?,
            None => f.write_str("any method, ")?,
        }
        f.write_str(self.path.as_deref().unwrap_or("any path"))?;
        for condition in &self.conditions {
            write!(f, ", {}", condition.what)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expect({self})")
    }
}

struct Condition {
    what: String,
    part: Part,
    test: Box<dyn Fn(&Received) -> bool + Send + Sync>,
}

/// The part of a request that a condition reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Body,
}
