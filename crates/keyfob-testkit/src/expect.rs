//! Which requests are expected, and what answers them.

use std::fmt;
use std::sync::Arc;

use http::Method;

use crate::received::Received;
use crate::response::{ScriptedResponse, Upload};
use crate::steps::{Count, Responder, Steps};

/// Requests that a [`Server`](crate::Server) expects, and their answers in order.
///
/// Each [`respond`](Self::respond) is for one request; [`times`](Self::times) makes it more, [`always`](Self::always)
/// any number. When all are used up, the next expectation that matches answers; when there is none, the request is
/// unexpected.
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
/// // An answer that depends on the request, any number of times:
/// Expect::get("/echo").respond_with(|received| ScriptedResponse::text(received.path.as_str()));
/// ```
#[must_use = "it has to be given to `Server::expect`"]
pub struct Expect {
    method: Option<Method>,
    path: Option<String>,
    conditions: Vec<Condition>,
    steps: Steps,
}

/// Which requests.
impl Expect {
    /// Expects any request, whatever its method and path.
    pub fn any() -> Self {
        Self {
            method: None,
            path: None,
            conditions: Vec::new(),
            steps: Steps::default(),
        }
    }

    /// Expects requests for this path (without a query), whatever their method.
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
    /// As [`path`](Self::path) does.
    pub fn method(method: Method, path: &str) -> Self {
        Self {
            method: Some(method),
            ..Self::path(path)
        }
    }

    /// Expects `GET` of this path.
    pub fn get(path: &str) -> Self {
        Self::method(Method::GET, path)
    }

    /// Expects `HEAD` of this path.
    pub fn head(path: &str) -> Self {
        Self::method(Method::HEAD, path)
    }

    /// Expects `POST` to this path.
    pub fn post(path: &str) -> Self {
        Self::method(Method::POST, path)
    }

    /// Expects `PUT` to this path.
    pub fn put(path: &str) -> Self {
        Self::method(Method::PUT, path)
    }

    /// Expects `PATCH` of this path.
    pub fn patch(path: &str) -> Self {
        Self::method(Method::PATCH, path)
    }

    /// Expects `DELETE` of this path.
    pub fn delete(path: &str) -> Self {
        Self::method(Method::DELETE, path)
    }

    /// Only requests that have this header with this value, among others.
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

    /// Only requests whose query has this parameter; name and value as they are before encoding.
    pub fn query(self, name: &str, value: &str) -> Self {
        let (what, name) = (format!("query {name}={value}"), name.to_owned());
        let value = value.to_owned();
        self.condition(what, Part::Head, move |received| {
            received.query_value(&name).as_ref() == Some(&value)
        })
    }

    /// Only requests whose form has this field; name and value as they are before encoding.
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

    /// Only requests for which `test` says yes; `what` names that in reports.
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

/// What answers them.
impl Expect {
    /// Answers one request, after those that are answered already.
    ///
    /// # Panics
    ///
    /// If it comes after an answer for any number of requests, and so could never be used.
    pub fn respond(self, answer: ScriptedResponse) -> Self {
        self.step(Responder::Fixed(answer), Count::exactly(1))
    }

    /// Answers all further requests with this; there need not be any.
    ///
    /// # Panics
    ///
    /// As [`respond`](Self::respond) does.
    pub fn always(self, answer: ScriptedResponse) -> Self {
        self.step(Responder::Fixed(answer), Count::at_least(0))
    }

    /// Answers all further requests with what this closure says; there need not be any.
    ///
    /// It runs on the server's thread: while it blocks, the server answers nobody. A panic in it is answered with
    /// 599 and fails the test, as an unexpected request does.
    ///
    /// # Panics
    ///
    /// As [`respond`](Self::respond) does.
    pub fn respond_with(
        self,
        respond: impl Fn(&Received) -> ScriptedResponse + Send + Sync + 'static,
    ) -> Self {
        self.step(Responder::Computed(Arc::new(respond)), Count::at_least(0))
    }

    /// Makes the last answer one for exactly so many requests.
    ///
    /// # Panics
    ///
    /// If there is no answer yet.
    pub fn times(self, calls: usize) -> Self {
        self.count(Count::exactly(calls))
    }

    /// Makes the last answer one for so many requests or more.
    ///
    /// # Panics
    ///
    /// If there is no answer yet.
    pub fn at_least(self, calls: usize) -> Self {
        self.count(Count::at_least(calls))
    }

    fn step(mut self, responder: Responder, count: Count) -> Self {
        assert!(
            !self.steps.is_endless(),
            "{self}: an answer after one for any number of requests is never used"
        );
        self.steps.push(responder, count);
        self
    }

    fn count(mut self, count: Count) -> Self {
        let counted = self.steps.recount(count);
        assert!(
            counted,
            "{self}: an answer comes first, then how many times"
        );
        self
    }
}

/// What the script asks.
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

    /// Decides from the head alone how much of the body to read; `None` if this is not the one that answers.
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
            Responder::Fixed(answer) if !needs_body => Some(answer.upload),
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

/// What a condition looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Body,
}
