//! The questions, each in a file of its own.

pub mod boundary;
pub mod herd;
pub mod impatient;
pub mod late;
pub mod outage;
pub mod python;
pub mod read;
pub mod request;
pub mod start;
