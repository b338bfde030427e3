//! A gate that holds responses back until the test opens it.
//!
//! Use it if a test needs an order of events: a delay makes the order likely, a gate makes it certain.

use std::sync::Arc;

use tokio::sync::watch;

/// Holds responses back until the test opens it.
///
/// A gate starts closed, opens once and stays open. Clones are the same gate. When the last clone is dropped, the responses that
/// still wait are sent.
///
/// ```
/// use keyfob_testkit::{ScriptedResponse, Expect, Gate, Server};
///
/// let gate = Gate::new();
/// let server = Server::start();
/// server.expect(Expect::get("/slow").always(ScriptedResponse::text("at last").when(&gate)));
/// // … start requests, check what happens while they wait, then:
/// gate.open();
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// Makes a closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            open: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Opens the gate for all responses, those that wait and those that follow.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Returns whether the gate was opened.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    pub(crate) fn waiter(&self) -> GateWaiter {
        GateWaiter {
            open: self.open.subscribe(),
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

/// The waiting side of a [`Gate`]; it does not keep the gate alive.
#[derive(Clone, Debug)]
pub(crate) struct GateWaiter {
    open: watch::Receiver<bool>,
}

impl GateWaiter {
    pub(crate) async fn opened(mut self) {
        // An error means that all clones are dropped, and so the gate can never open.
        let _ = self.open.wait_for(|open| *open).await;
    }
}
