//! The presets of platforms, against fakes of the platforms.

mod azure;
mod checks;
mod clients;
mod entra;
mod environment;
mod errors;
mod github;
mod google;
mod kubernetes;
mod lives;
mod page;
mod signed;
mod vault;
