//! The ambient runtime without tokio: threads alone.

use futures_util::future::BoxFuture;

use crate::runtime::block_on::block_on;
pub(super) use crate::runtime::threads::spawn_blocking;
use crate::runtime::threads::start;
pub(super) use crate::runtime::timer::sleep;

pub(super) fn spawn(task: BoxFuture<'static, ()>) {
    start("keyfob-renewal", move || block_on(task));
}
