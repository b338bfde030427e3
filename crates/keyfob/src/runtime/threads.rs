//! One thread for each piece of work, which ends with it: what there is where no async runtime is.

use std::thread;

pub(super) fn spawn_blocking(work: Box<dyn FnOnce() + Send>) {
    start("keyfob-hook", work);
}

/// Starts a thread; where the system refuses one, the work is dropped, which its owner sees as abandoned.
pub(super) fn start(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::error!(target: "keyfob", %error, thread = name, "no thread could be started");
    }
}
