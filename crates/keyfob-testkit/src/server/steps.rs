//! The responses of one expectation in order, and for how many requests each of them is.

use std::sync::Arc;

use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// The responses of one expectation, in order.
#[derive(Default)]
pub(crate) struct Steps {
    steps: Vec<Step>,
}

struct Step {
    responder: Responder,
    count: Count,
}

impl Steps {
    pub(crate) fn push(&mut self, responder: Responder, count: Count) {
        self.steps.push(Step { responder, count });
    }

    /// Changes for how many requests the last response is. Returns whether there is one.
    pub(crate) fn recount(&mut self, count: Count) -> bool {
        let Some(last) = self.steps.last_mut() else {
            return false;
        };
        last.count = count;
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether the last response is for any number of requests, so that a later one could never be used.
    pub(crate) fn is_endless(&self) -> bool {
        let last = self.steps.last();
        last.is_some_and(|step| step.count.most.is_none())
    }

    /// What responds to the request that follows this many calls.
    pub(crate) fn responder(&self, calls: usize) -> Option<&Responder> {
        let mut used = calls;
        for step in &self.steps {
            match step.count.most {
                Some(most) if used >= most => used -= most,
                _ => return Some(&step.responder),
            }
        }
        None
    }

    /// How many requests are expected at least.
    pub(crate) fn least(&self) -> usize {
        self.steps.iter().map(|step| step.count.least).sum()
    }
}

/// What makes the response.
#[derive(Clone)]
pub(crate) enum Responder {
    Fixed(ScriptedResponse),
    Computed(Arc<dyn Fn(&Received) -> ScriptedResponse + Send + Sync>),
}

/// For how many requests a response is.
pub(crate) struct Count {
    least: usize,
    most: Option<usize>,
}

impl Count {
    pub(crate) fn exactly(calls: usize) -> Self {
        Self {
            least: calls,
            most: Some(calls),
        }
    }

    pub(crate) fn at_least(calls: usize) -> Self {
        Self {
            least: calls,
            most: None,
        }
    }
}
