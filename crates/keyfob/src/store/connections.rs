//! The open connections to a database, each on its own tokio runtime.

use std::sync::Arc;

use tokio::runtime::{Handle, Id};

use crate::runtime::lock::{Mutex, lock};

/// The open connections to a database, or pools of them, each for the tokio runtime on which it was opened.
///
/// A task of that runtime moves the data. So a connection ends with its runtime, and stands still while nothing drives it: a
/// command of another runtime would wait for a reply that never comes.
#[derive(Clone)]
pub(super) struct Connections<C>(Arc<Mutex<Vec<Open<C>>>>);

struct Open<C> {
    /// `None` for a caller that is on no runtime.
    runtime: Option<Id>,
    connection: C,
}

/// Beyond these, the oldest is closed. Each fetch on a thread has a runtime of its own, and a pool has 32 at once unless it is set.
/// Most of the others have ended.
const MAX: usize = 64;

impl<C: Clone> Connections<C> {
    pub(super) fn none() -> Self {
        Self(Arc::default())
    }

    /// The connection of the caller's runtime.
    pub(super) fn get(&self) -> Option<C> {
        let (runtime, open) = (callers(), lock(&self.0));
        let mut open = open.iter();
        open.find(|open| open.runtime == runtime)
            .map(|open| open.connection.clone())
    }

    pub(super) fn set(&self, connection: C) {
        let runtime = callers();
        let mut open = lock(&self.0);
        open.retain(|open| open.runtime != runtime);
        add(&mut open, runtime, connection);
    }

    /// The connection of the caller's runtime. If there is none, it becomes this one.
    pub(super) fn get_or_add(&self, new: impl FnOnce() -> C) -> C {
        let runtime = callers();
        let mut all = lock(&self.0);
        if let Some(open) = all.iter().find(|open| open.runtime == runtime) {
            return open.connection.clone();
        }
        let connection = new();
        add(&mut all, runtime, connection.clone());
        connection
    }

    /// Forgets the connection of the caller's runtime, which broke. The next command opens another.
    pub(super) fn forget(&self) {
        let runtime = callers();
        lock(&self.0).retain(|open| open.runtime != runtime);
    }
}

fn add<C>(all: &mut Vec<Open<C>>, runtime: Option<Id>, connection: C) {
    if all.len() == MAX {
        all.remove(0);
    }
    all.push(Open {
        runtime,
        connection,
    });
}

fn callers() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn each_runtime_has_its_own_connection_and_their_number_is_bounded() {
        let connections = Connections::none();
        let runtimes: Vec<_> = (0..=MAX)
            .map(|_| Builder::new_current_thread().build().unwrap())
            .collect();
        for (number, runtime) in runtimes.iter().enumerate() {
            let _caller = runtime.enter();
            assert_eq!(connections.get(), None);
            match number % 2 {
                0 => connections.set(number),
                _ => assert_eq!(connections.get_or_add(|| number), number),
            }
            assert_eq!(connections.get_or_add(|| 1_000), number);
            assert_eq!(connections.get(), Some(number));
        }
        let of = |number: usize| {
            let _caller = runtimes[number].enter();
            connections.get()
        };
        assert_eq!((of(0), of(1), of(MAX)), (None, Some(1), Some(MAX)));
        let _caller = runtimes[1].enter();
        connections.forget();
        assert_eq!(connections.get(), None);
        drop(_caller);
        assert_eq!(of(MAX), Some(MAX));
    }
}
