//! Where measurements go: to the `metrics` facade, or nowhere without the feature `metrics`.

pub(super) use recorder::{add_to_gauge, count, observe};

#[cfg(feature = "metrics")]
mod recorder {
    use std::time::Duration;

    /// Adds one to a counter.
    pub(in crate::observe) fn count(name: &'static str, labels: &[(&'static str, &'static str)]) {
        metrics::counter!(name, labels).increment(1);
    }

    /// Changes a gauge by this much, so that several objects of a process add up.
    pub(in crate::observe) fn add_to_gauge(name: &'static str, change: f64) {
        metrics::gauge!(name).increment(change);
    }

    /// Records a time. It is computed only if it is recorded.
    #[inline]
    pub(in crate::observe) fn observe(name: &'static str, time: impl FnOnce() -> Duration) {
        metrics::histogram!(name).record(time().as_secs_f64());
    }
}

#[cfg(not(feature = "metrics"))]
mod recorder {
    use std::time::Duration;

    #[inline]
    pub(in crate::observe) fn count(_: &'static str, _: &[(&'static str, &'static str)]) {}

    pub(in crate::observe) fn add_to_gauge(_: &'static str, _: f64) {}

    #[inline]
    pub(in crate::observe) fn observe(_: &'static str, _: impl FnOnce() -> Duration) {}
}
