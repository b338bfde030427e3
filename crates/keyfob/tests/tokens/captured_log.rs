//! Captures the log of a test.
//!
//! The subscriber is global, because `tracing` caches for each call site whether a subscriber wants it, and another thread
//! may fill that cache first. Each test sees only the lines of its own thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Once;

use tracing::{Event, Level, Metadata, Subscriber, span};

type Hear = Rc<dyn Fn(Level)>;

thread_local! {
    static LISTENER: RefCell<Option<Hear>> = const { RefCell::new(None) };
}

static INSTALLED: Once = Once::new();

/// Runs work on this thread, and returns the level of each line that it logs.
pub(crate) fn listening<T>(hear: impl Fn(Level) + 'static, work: impl FnOnce() -> T) -> T {
    INSTALLED.call_once(|| tracing::subscriber::set_global_default(Log).unwrap());
    LISTENER.set(Some(Rc::new(hear)));
    let output = work();
    LISTENER.set(None);
    output
}

struct Log;

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "keyfob"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        if let Some(hear) = LISTENER.with_borrow(Clone::clone) {
            hear(*event.metadata().level());
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
