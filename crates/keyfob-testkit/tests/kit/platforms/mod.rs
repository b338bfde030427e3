//! The fakes of platforms check what the platforms check.

mod github;
