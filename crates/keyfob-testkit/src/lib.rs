//! Test kit of keyfob.

mod clock;
mod source;

pub use clock::ManualClock;
pub use source::Call;
pub use source::GatedSource;
pub use source::ScriptedSource;
