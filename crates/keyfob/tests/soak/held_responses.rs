//! Some answers of the token endpoint are held back, until whoever waits for them has been killed.

use std::time::Duration;

use keyfob::store::TokenStore;
use keyfob_testkit::{Gate, TokenEndpoint, TokenResponse};

use crate::store_note::Note;

/// Lets one exchange come to its end, holds back the answer to the next one, and lets that be repeated; and so on.
///
/// An exchange has happened before its answer is held back: who is killed then loses it. Kills that have a pace of their
/// own can miss every exchange, for renewals have one, too.
pub(crate) struct Ambush<'a> {
    endpoint: &'a TokenEndpoint,
    gates: Vec<Gate>,
    /// So many of the gates are done with.
    passed: usize,
}

impl<'a> Ambush<'a> {
    /// Lays it so many times.
    pub(crate) fn lay(endpoint: &'a TokenEndpoint, times: u32) -> Self {
        let answer = || TokenResponse::token().after(ANSWER_TAKES);
        endpoint.always(answer());
        let gates: Vec<_> = (0..times).map(|_| Gate::new()).collect();
        for gate in &gates {
            endpoint.next(answer());
            endpoint.next(answer().when(gate));
            endpoint.next(answer());
        }
        Self {
            endpoint,
            gates,
            passed: 0,
        }
    }

    /// Kills the process that waits for an answer that is held back, if there is one; says whether it did.
    ///
    /// One that repeats the exchange of a killed one gets its answer: who is killed there, too, makes a sign-in necessary.
    pub(crate) async fn spring(
        &mut self,
        store: &dyn TokenStore,
        kill: impl FnOnce(u32) -> bool,
    ) -> bool {
        let exchanges = self.endpoint.rotations() + self.endpoint.repeats();
        if exchanges < self.passed as u64 * 3 + 2 {
            return false;
        }
        let Some(gate) = self.gates.get(self.passed) else {
            return false;
        };
        self.passed += 1;
        let note = Note::load(store).await.filter(|note| !note.is_repeat);
        let was_killed = note.is_some_and(|note| kill(note.pid));
        gate.open();
        was_killed
    }
}

/// Long enough for others to find the lease taken.
const ANSWER_TAKES: Duration = Duration::from_millis(100);
