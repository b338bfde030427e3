//! Sets `cfg(keyfob_repository)`, for the tests that read pages and files of the repository.
//!
//! It is not in the published package, so those tests are not either.

fn main() {
    println!("cargo::rustc-cfg=keyfob_repository");
    println!("cargo::rerun-if-changed=build.rs");
}
