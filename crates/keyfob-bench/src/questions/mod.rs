//! The questions, each in its own file.

pub mod boundary;
pub mod fleet;
pub mod herd;
pub mod impatient;
pub mod late;
pub mod outage;
pub mod proxy;
pub mod python;
pub mod read;
pub mod request;
pub mod start;
pub mod users;
