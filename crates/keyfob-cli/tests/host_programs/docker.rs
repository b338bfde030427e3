//! docker, and skopeo, which speaks the protocol of docker's credential helpers.

use std::fs;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob_testkit::{Expect, Received, ScriptedResponse, Server};

use crate::installed::is_installed;
use crate::sandbox::{Ended, Sandbox, run};

#[test]
fn skopeo_reads_a_manifest_with_the_token_as_its_password() {
    let sandbox = with_registry();
    let read = inspect(&sandbox);
    assert!(
        read.success && read.stdout.contains("schemaVersion"),
        "{read:?}"
    );
    // docker's protocol has no word for a rejection, so a person says it.
    sandbox.endpoint.issuer().revoke_current();
    assert!(!inspect(&sandbox).success);
    let mut erase = sandbox.command("sh");
    let line = format!("printf {} | docker-credential-keyfob erase", sandbox.host());
    assert!(run(erase.args(["-c", &line])).success);
    let read = inspect(&sandbox);
    assert!(read.success, "{read:?}");
    // Without a token it fails, and says why.
    fs::remove_dir_all(sandbox.path("state")).expect("it is there");
    fs::remove_file(sandbox.path("secret")).expect("it is there");
    let refused = inspect(&sandbox);
    assert!(
        !refused.success && refused.stderr.contains("the secret"),
        "{refused:?}"
    );
}

/// Debian's package of docker brings a daemon, so `cargo xtask test programs` does not install it.
#[test]
fn docker_reads_a_manifest_with_the_token_as_its_password() {
    if !is_installed("docker") {
        println!("docker is not installed");
        return;
    }
    let sandbox = with_registry();
    let mut docker = sandbox.command("docker");
    docker
        .env("SSL_CERT_FILE", sandbox.authority())
        .args(["manifest", "inspect"])
        .arg(format!("{}/x:latest", sandbox.host()));
    let read = run(&mut docker);
    assert!(read.stdout.contains("schemaVersion"), "{read:?}");
    assert_eq!(sandbox.endpoint.calls(), 1);
}

/// A registry that takes the token as a password, and docker's settings for it.
fn with_registry() -> Sandbox {
    let sandbox = Sandbox::with_server(Server::start(), |issuer| {
        Expect::any().respond_with(move |received| {
            match password(received).is_some_and(|token| issuer.is_valid(&token)) {
                true if received.path.contains("/blobs/") => ScriptedResponse::text("{}"),
                true => ScriptedResponse::bytes(MANIFEST).header("content-type", TYPE),
                false => ScriptedResponse::unauthorized("Basic realm=\"registry\""),
            }
        })
    });
    sandbox
        .endpoint
        .issuer()
        .set_lifetime(Duration::from_secs(3600));
    sandbox.set_up("docker");
    sandbox
}

fn password(received: &Received) -> Option<String> {
    let header = received.header("authorization")?;
    let pair = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    Some(pair.strip_prefix("oauth2accesstoken:")?.to_owned())
}

fn inspect(sandbox: &Sandbox) -> Ended {
    let certificates = sandbox.path("certificates");
    fs::create_dir_all(&certificates).expect("the folder of the test can be written");
    fs::copy(sandbox.authority(), certificates.join("ca.crt")).expect("the folder can be written");
    let mut skopeo = sandbox.command("skopeo");
    run(skopeo
        .args(["inspect", "--raw", "--cert-dir"])
        .arg(certificates)
        .arg(format!("docker://{}/x:latest", sandbox.host())))
}

const TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[]}"#;
