//! Holds back some token responses until the processes that wait for them are killed, and loses others.

use std::time::Duration;

use keyfob::store::TokenStore;
use keyfob_testkit::{Gate, ScriptedResponse, TokenEndpoint, TokenResponse};

use crate::store_note::Note;

/// Lets one exchange end, holds back the response to the next one, lets it be repeated, loses a response, lets that exchange
/// be repeated, and so on, unless no response is to be [lost](Losses).
///
/// The server has done an exchange before its response is held back, so a process killed then loses the result. Kills at
/// regular intervals can miss every exchange, because renewals are regular too.
pub(crate) struct HeldResponses<'a> {
    endpoint: &'a TokenEndpoint,
    gates: Vec<Gate>,
    losses: Losses,
    /// How many gates were used.
    passed: usize,
}

/// Whether some responses are lost, of which the processes learn at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Losses {
    Some,
    /// A failover may take until the token has expired. Then callers are told about a loss, and their requests fail.
    None,
}

impl<'a> HeldResponses<'a> {
    /// Prepares this many held responses.
    pub(crate) fn prepare(endpoint: &'a TokenEndpoint, times: u32, losses: Losses) -> Self {
        let token = || TokenResponse::token().after(RESPONSE_TAKES);
        endpoint.always(token());
        let gates: Vec<_> = (0..times).map(|_| Gate::new()).collect();
        for gate in &gates {
            endpoint.next(token());
            endpoint.next(token().when(gate));
            endpoint.next(token());
            if losses == Losses::Some {
                endpoint.next(lost());
                endpoint.next(token());
            }
        }
        Self {
            endpoint,
            gates,
            losses,
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
        let round = match self.losses {
            Losses::Some => 5,
            Losses::None => 3,
        };
        if exchanges < self.passed as u64 * round + 2 {
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

/// A response that is cut at a random byte, or that a gateway replaces.
///
/// A second loss in a row would make a sign-in necessary, so a repeated exchange gets its response.
fn lost() -> TokenResponse {
    let token = TokenResponse::token().after(RESPONSE_TAKES);
    let lost = match fastrand::u8(..3) {
        0 => token.lost_behind(ScriptedResponse::status(
            fastrand::choice([502, 504]).unwrap(),
        )),
        _ => token.cut_after(fastrand::usize(..RESPONSE_BYTES)),
    };
    lost.unless_repeated()
}

/// About the length of a response with its head.
const RESPONSE_BYTES: usize = 260;

/// Long enough for other processes to find that the lease is held.
const RESPONSE_TAKES: Duration = Duration::from_millis(100);
