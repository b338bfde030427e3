//! The program as its users run it, against servers that the tests script.

mod demo;
mod descriptions;
mod formats;
mod kept;
mod keyfob;
mod memory;
mod output;
mod profiles;
mod refusals;
mod sign_in;
mod signals;
mod waiting;
