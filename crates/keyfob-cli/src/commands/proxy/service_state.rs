//! What systemd is told about the proxy.

#[cfg(unix)]
use keyfob::proxy::{ServiceState, notify};

pub(super) fn ready() {
    #[cfg(unix)]
    notify(ServiceState::Ready);
}

pub(super) fn stopping() {
    #[cfg(unix)]
    notify(ServiceState::Stopping);
}

/// A reload is in progress until this is dropped.
pub(super) struct Reloading;

impl Reloading {
    pub(super) fn begin() -> Self {
        #[cfg(unix)]
        {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
            let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or_default();
            notify(ServiceState::Reloading(std::time::Duration::new(
                seconds,
                nanoseconds,
            )));
        }
        Self
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        ready();
    }
}
