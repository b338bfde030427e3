//! Each program does its work with the token, which it does not have.

use std::fs;
use std::process::Command;

use crate::installed::is_installed;
use crate::service::Service;

#[test]
fn p8_curl_gets_a_response_in_each_of_several_lives_of_the_token() {
    let service = Service::start();
    let done = service.shell(
        "for i in 1 2 3 4 5 6 7 8; do curl -sS --fail \"$URL/user?$i\" -H \"Authorization: Bearer $DEMO_TOKEN\" | grep -c octocat; sleep 1; done",
    );
    assert_eq!(
        (done.code, &*done.stdout),
        (0, &*"1\n".repeat(8)),
        "{done:?}"
    );
    assert!(service.issued() >= 3, "{}", service.issued());
}

#[test]
fn p8_curl_with_http_1_and_with_basic_credentials() {
    let service = Service::start();
    let done = service.shell(
        "curl -sS --fail --http1.1 \"$URL/user\" && curl -sS --fail -u \"git:$DEMO_TOKEN\" \"$URL/user\" && curl -sS --fail \"$URL/user\"",
    );
    assert_eq!(done.stdout.matches("octocat").count(), 3, "{done:?}");
}

#[test]
fn p8_git_clones() {
    let service = Service::start();
    let repository = service.folder.path("git/repo.git");
    let make = format!(
        "git init -q work1 && cd work1 && git config user.email a@b && git config user.name a && echo hi > file && git add file \
         && git commit -qm one && git clone -q --bare . '{0}' && git -C '{0}' update-server-info",
        repository.display()
    );
    let made = Command::new("sh")
        .args(["-ec", &make])
        .current_dir(service.folder.path(""))
        .status();
    assert!(made.expect("git is installed").success());
    let done = service.shell("git clone -q \"$URL/git/repo.git\" clone && cat clone/file");
    assert_eq!((done.code, &*done.stdout), (0, "hi\n"), "{done:?}");
    // As with a token in the URL, which git sends as a password.
    let done = service.shell(
        "git clone -q \"https://git:$DEMO_TOKEN@${URL#https://}/git/repo.git\" again && cat again/file",
    );
    assert_eq!((done.code, &*done.stdout), (0, "hi\n"), "{done:?}");
}

#[test]
fn p8_pip_installs() {
    let service = Service::start();
    let done = service.shell(
        "\"$PYTHON\" -m pip install -q --disable-pip-version-check --no-input --index-url \"$URL/simple\" --target lib demo-keyfob \
         && PYTHONPATH=lib \"$PYTHON\" -c 'import demo_keyfob; print(demo_keyfob.value)'",
    );
    assert_eq!((done.code, &*done.stdout), (0, "42\n"), "{done:?}");
}

#[test]
fn p8_uv_installs() {
    let service = Service::start();
    let done = service.shell(
        "\"$PYTHON\" -m uv pip install -q --no-config --no-cache --python \"$PYTHON\" --default-index \"$URL/simple\" --target lib demo-keyfob \
         && PYTHONPATH=lib \"$PYTHON\" -c 'import demo_keyfob; print(demo_keyfob.value)'",
    );
    assert_eq!((done.code, &*done.stdout), (0, "42\n"), "{done:?}");
}

#[test]
fn p8_npm_installs() {
    let service = Service::start();
    let done = service.shell(
        "npm install --loglevel=error --no-audit --no-fund --registry \"$URL/npm/\" demo-keyfob && node -p 'require(\"demo-keyfob\")'",
    );
    assert!(done.stdout.ends_with("42\n") && done.code == 0, "{done:?}");
}

#[test]
fn p8_cargo_fetches() {
    let service = Service::start();
    let home = service.folder.path("cargo-home");
    fs::create_dir_all(&home).expect("the folder is ours");
    let done = service.shell(&format!(
        "mkdir -p src && touch src/lib.rs && printf '[package]\\nname = \"x\"\\nversion = \"0.1.0\"\\nedition = \"2021\"\\n\
         [dependencies]\\ndemo-keyfob = {{ version = \"1\", registry = \"demo\" }}\\n[workspace]\\n' > Cargo.toml \
         && CARGO_HOME='{}' CARGO_REGISTRIES_DEMO_INDEX=\"sparse+$URL/index/\" cargo fetch -q && ls '{}'/registry/cache/*",
        home.display(),
        home.display()
    ));
    assert!(done.stdout.contains("demo-keyfob-1.0.0.crate"), "{done:?}");
}

#[test]
fn p8_python_requests_and_httpx() {
    let service = Service::start();
    for client in ["requests", "httpx"] {
        let script = format!(
            "import os, {client}\n\
             field = {{'authorization': 'token ' + os.environ['DEMO_TOKEN']}}\n\
             print({client}.get(os.environ['URL'] + '/user', headers=field).json()['login'])\n"
        );
        service.folder.file("script.py", &script);
        let path = service.folder.path("script.py");
        let done = service.shell(&format!("\"$PYTHON\" '{}'", path.display()));
        assert_eq!(
            (done.code, &*done.stdout),
            (0, "octocat\n"),
            "{client}: {done:?}"
        );
    }
}

#[test]
fn p8_node_fetch_and_https() {
    let service = Service::start();
    let fetch =
        "fetch(process.env.URL + '/user').then((r) => r.json()).then((j) => console.log(j.login))";
    let https = "require('https').get(process.env.URL + '/user', (r) => { console.log(r.statusCode); r.resume() })";
    for (script, expected) in [(fetch, "octocat\n"), (https, "200\n")] {
        service.folder.file("script.cjs", script);
        let path = service.folder.path("script.cjs");
        let done = service.shell(&format!("node '{}'", path.display()));
        assert_eq!(
            (done.code, &*done.stdout),
            (0, expected),
            "{script}: {done:?}"
        );
    }
}

#[test]
fn p8_gh_asks_the_api_of_its_server() {
    let service = Service::start();
    let done = service.shell(
        "GH_HOST=\"$HOST\" GH_ENTERPRISE_TOKEN=\"$DEMO_TOKEN\" GH_NO_UPDATE_NOTIFIER=1 gh api user --jq .login",
    );
    assert_eq!((done.code, &*done.stdout), (0, "octocat\n"), "{done:?}");
}

#[test]
fn p8_kubectl_asks_its_cluster() {
    let service = Service::start();
    let done = service.shell(
        "kubectl get --raw /user --server \"https://$HOST\" --certificate-authority \"$SSL_CERT_FILE\" --token \"$DEMO_TOKEN\"",
    );
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("octocat"), "{done:?}");
}

#[test]
fn p8_rclone_reads_a_file() {
    let service = Service::start();
    fs::create_dir_all(service.folder.path("git")).expect("the folder is ours");
    service.folder.file("git/report", "octocat");
    let done = service.shell(
        "rclone cat :http:git/report --http-url \"https://$HOST\" --http-headers \"Authorization,Bearer $DEMO_TOKEN\"",
    );
    assert!(done.stdout.contains("octocat"), "{done:?}");
}

/// Debian's package of docker brings a daemon, so it is not installed for this.
#[test]
fn p8_docker_reads_a_manifest() {
    if !is_installed("docker") {
        return;
    }
    let service = Service::start();
    let done = service.shell(
        "mkdir -p \"$HOME/.docker\" && printf '{\"auths\":{\"%s\":{\"auth\":\"%s\"}}}' \"$HOST\" \"$(printf 'x:%s' \"$DEMO_TOKEN\" | base64 -w0)\" \
         >\"$HOME/.docker/config.json\" && docker manifest inspect \"$HOST/demo:latest\"",
    );
    assert!(done.stdout.contains("schemaVersion"), "{done:?}");
}

/// No registry has it.
#[test]
fn p8_terraform_asks_a_registry() {
    if !is_installed("terraform") {
        return;
    }
    let service = Service::start();
    let done = service.shell(
        "printf 'credentials \"%s\" {\\n  token = \"%s\"\\n}\\n' \"$HOST\" \"$DEMO_TOKEN\" >rc \
         && printf 'terraform {\\n  required_providers {\\n    b = { source = \"%s/a/b\" }\\n  }\\n}\\n' \"$HOST\" >main.tf \
         && TF_CLI_CONFIG_FILE=rc CHECKPOINT_DISABLE=1 terraform init -no-color 2>&1 || true",
    );
    // The only version is for no platform.
    assert!(done.stdout.contains("9.8.7"), "{done:?}");
}

#[test]
fn p8_a_program_reaches_no_other_host() {
    let service = Service::start();
    let other = Service::start();
    let done = service.shell(&format!("curl -sS '{}/user' || echo failed", other.url));
    assert_eq!(done.stdout, "failed\n", "{done:?}");
    assert!(done.stderr.contains("refused a request"), "{done:?}");
    assert_eq!(other.issued(), 0);
}

#[test]
fn a_program_that_does_not_trust_the_authority_leads_to_a_hint() {
    let service = Service::start();
    let done = service.shell("curl -sS --cacert /dev/null \"$URL/user\" || curl -sS --capath /nowhere --cacert /etc/ssl/certs/ca-certificates.crt \"$URL/user\" || echo failed");
    assert!(done.stdout.ends_with("failed\n"), "{done:?}");
    assert!(done.stderr.contains("does not trust"), "{done:?}");
    assert!(done.stderr.contains("SSL_CERT_FILE"), "{done:?}");
}

#[test]
fn the_proxy_ends_with_the_program_and_leaves_no_file() {
    let service = Service::start();
    let done =
        service.shell("echo \"$SSL_CERT_FILE\"; ls -ld \"$(dirname \"$SSL_CERT_FILE\")\"; exit 9");
    assert_eq!(done.code, 9, "{done:?}");
    let path = done.stdout.lines().next().expect("a path");
    assert!(done.stdout.contains("drwx------"), "{done:?}");
    assert!(!fs::exists(path).expect("the folder can be read"), "{path}");
}
