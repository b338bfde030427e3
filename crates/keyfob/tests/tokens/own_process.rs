//! Tests that need their own process, because of its memory or its environment.

use std::ffi::OsStr;
use std::process::Command;

/// Runs one ignored test of this binary in another process, with these environment variables.
pub(crate) fn run_alone<V: AsRef<OsStr>>(test: &str, environment: &[(&str, V)]) {
    let output = Command::new(std::env::current_exe().expect("the path of this program is known"))
        .args(["--exact", "--ignored", test])
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("this program can be started again");
    let output_text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && output_text.contains("1 passed"),
        "{output_text}"
    );
}
