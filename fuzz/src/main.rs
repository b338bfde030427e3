//! Runs one target of `keyfob::fuzzing`, which the environment names: `cargo xtask fuzz TARGET`.

#![no_main]

use std::env;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    TARGET.get_or_init(chosen)(data);
});

fn chosen() -> fn(&[u8]) {
    let name = env::var("KEYFOB_FUZZ_TARGET").unwrap_or_default();
    keyfob::fuzzing::target(&name).expect("KEYFOB_FUZZ_TARGET names a target")
}
