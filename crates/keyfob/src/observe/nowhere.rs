//! Without the feature `metrics`, figures go nowhere.

use std::time::Duration;

#[inline(always)]
pub(super) fn renewed(_: &'static str) {}

#[inline(always)]
pub(super) fn renewal_failed(_: &'static str) {}

#[inline(always)]
pub(super) fn token_used(_: impl FnOnce() -> Duration) {}

#[inline(always)]
pub(super) fn retried(_: &'static str) {}

#[inline(always)]
pub(super) fn replayed() {}
