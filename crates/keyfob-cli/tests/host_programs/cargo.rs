//! Cargo reads the index of a registry that demands a token.

use std::fs;
use std::time::Duration;

use crate::sandbox::{Ended, Sandbox, run};

#[test]
fn cargo_reads_the_index_of_a_registry_that_demands_a_token() {
    let sandbox = Sandbox::serving_files();
    sandbox
        .endpoint
        .issuer()
        .set_lifetime(Duration::from_secs(3600));
    let index = sandbox.path("served");
    fs::create_dir_all(index.join("3/a")).expect("the folder of the test can be written");
    let config = format!(
        "{{\"dl\":\"{}\",\"auth-required\":true}}",
        sandbox.url("/dl")
    );
    sandbox.folder.file("served/config.json", &config);
    let line = format!(
        "{{\"name\":\"abc\",\"vers\":\"1.2.3\",\"deps\":[],\"cksum\":\"{}\",\"features\":{{}},\"yanked\":false}}",
        "0".repeat(64)
    );
    sandbox.folder.file("served/3/a/abc", &line);
    fs::create_dir_all(sandbox.path("src")).expect("the folder of the test can be written");
    sandbox.folder.file("src/lib.rs", "");
    sandbox.folder.file(
        "Cargo.toml",
        "[package]\nname = \"x\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[dependencies]\nabc = { version = \"1\", registry = \"a\" }\n[workspace]\n",
    );
    sandbox.set_up("cargo");
    let locked = cargo(&sandbox);
    assert!(locked.success, "{locked:?}");
    let lock = fs::read_to_string(sandbox.path("Cargo.lock")).expect("it was written");
    assert!(lock.contains("abc") && lock.contains("1.2.3"), "{lock}");
    assert_eq!(sandbox.endpoint.calls(), 1);
    // Without a token, Cargo says why.
    fs::remove_dir_all(sandbox.path("state")).expect("it is there");
    fs::remove_file(sandbox.path("secret")).expect("it is there");
    fs::remove_file(sandbox.path("Cargo.lock")).expect("it is there");
    let refused = cargo(&sandbox);
    assert!(
        !refused.success && refused.stderr.contains("the secret"),
        "{refused:?}"
    );
}

fn cargo(sandbox: &Sandbox) -> Ended {
    let mut cargo = sandbox.command(env!("CARGO"));
    run(cargo
        .arg("generate-lockfile")
        .env("CARGO_HTTP_CAINFO", sandbox.authority()))
}
