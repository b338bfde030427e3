//! Holds back some token responses until the processes that wait for them are killed.

use std::time::Duration;

use keyfob::store::TokenStore;
use keyfob_testkit::{Gate, TokenEndpoint, TokenResponse};

use crate::store_note::Note;

/// Lets one exchange end, holds back the response to the next one, lets it be repeated, and so on.
///
/// The server has done an exchange before its response is held back, so a process killed then loses the result. Kills at
/// regular intervals can miss every exchange, because renewals are regular too.
pub(crate) struct HeldResponses<'a> {
    endpoint: &'a TokenEndpoint,
    gates: Vec<Gate>,
    /// How many gates were used.
    passed: usize,
}

impl<'a> HeldResponses<'a> {
    /// Prepares this many held responses.
    pub(crate) fn prepare(endpoint: &'a TokenEndpoint, times: u32) -> Self {
        let token = || TokenResponse::token().after(RESPONSE_TAKES);
        endpoint.always(token());
        let gates: Vec<_> = (0..times).map(|_| Gate::new()).collect();
        for gate in &gates {
            endpoint.next(token());
            endpoint.next(token().when(gate));
            endpoint.next(token());
        }
        Self {
            endpoint,
            gates,
            passed: 0,
        }
    }

    /// Kills the process that waits for a held response, if there is one. Returns whether it did.
    ///
    /// A process that repeats the exchange of a killed one gets its response. If it were killed too, a sign-in would be necessary.
    pub(crate) async fn kill_one(
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

/// Long enough for other processes to find that the lease is held.
const RESPONSE_TAKES: Duration = Duration::from_millis(100);
