//! The forward proxy of `keyfob run --proxy`, against programs that want more than they may have.

mod careless;
mod hostile;
mod proxy;
mod routes;
