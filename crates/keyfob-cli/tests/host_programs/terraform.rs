//! Terraform, which no registry has: the test runs where it is installed.

use keyfob_testkit::{ScriptedResponse, json};

use crate::installed::is_installed;
use crate::sandbox::{Sandbox, run};

#[test]
fn terraform_asks_a_registry_with_the_token() {
    if !is_installed("terraform") {
        println!("terraform is not installed");
        return;
    }
    let sandbox = Sandbox::new(|received| match received.path.as_str() {
        "/.well-known/terraform.json" => {
            ScriptedResponse::json(json!({"providers.v1": "/providers/"}))
        }
        _ => ScriptedResponse::json(json!({"versions": []})),
    });
    let host = sandbox.host().replace("127.0.0.1", "localhost");
    sandbox.set_up("terraform");
    sandbox.folder.file(
        "main.tf",
        &format!("terraform {{\n  required_providers {{\n    b = {{ source = \"{host}/a/b\" }}\n  }}\n}}\n"),
    );
    let mut terraform = sandbox.command("terraform");
    let done = run(terraform
        .args(["init", "-no-color"])
        .env("CHECKPOINT_DISABLE", "1")
        .env("SSL_CERT_FILE", sandbox.authority()));
    let paths: Vec<_> = sandbox
        .api
        .server()
        .received()
        .into_iter()
        .map(|received| received.path)
        .collect();
    assert!(
        paths.contains(&"/providers/a/b/versions".to_owned()),
        "{paths:?} {done:?}"
    );
    assert_eq!(sandbox.count(401), 0, "{done:?}");
}
