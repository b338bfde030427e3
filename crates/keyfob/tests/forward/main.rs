//! The forward proxy of `keyfob run --proxy`, against programs that want more than they may have.

mod careless;
mod environment;
mod hostile;
#[path = "../tokens/own_process.rs"]
mod own_process;
mod proxy;
mod routes;
