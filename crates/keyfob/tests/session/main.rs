//! The two sessions against the scripted server: each promise of a session, by its name in the contract.

mod closed;
mod heal;
mod kit;
mod origins;
mod retries;
