//! A gate that holds answers back until the test opens it.
//!
//! Use it where a test needs an order of events: a delay makes that order likely, a gate makes it certain.

use std::sync::Arc;

use tokio::sync::watch;

/// Holds answers back until it is opened.
///
/// It starts closed, opens once and stays open. Clones are the same gate. When the last clone is dropped, whatever
/// still waits goes on.
///
/// ```
/// use keyfob_testkit::{ScriptedResponse, Expect, Gate, Server};
///
/// let gate = Gate::new();
/// let server = Server::start();
/// server.expect(Expect::get("/slow").always(ScriptedResponse::text("at last").when(&gate)));
/// // … start requests, look at what they do while they wait, then:
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

    /// Opens the gate for everyone who waits and who will come.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Says whether the gate was opened.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    pub(crate) fn entrance(&self) -> Entrance {
        Entrance {
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
pub(crate) struct Entrance {
    open: watch::Receiver<bool>,
}

impl Entrance {
    pub(crate) async fn passed(mut self) {
        // An error means that nobody is left who could open the gate.
        let _ = self.open.wait_for(|open| *open).await;
    }
}
