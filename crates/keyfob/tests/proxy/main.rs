//! The reverse proxy, between raw clients and raw upstreams, so that each byte is seen.

#![expect(clippy::unwrap_used, reason = "a failed step of a test may panic")]

mod fails_closed;
mod fixtures;
mod heads;
mod parsing;
mod targets;
