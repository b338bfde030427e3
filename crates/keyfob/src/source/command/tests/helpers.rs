//! Credential helpers get the request of their protocol, and what they say in it is understood.

use std::fs;

use crate::error::error::ErrorKind;
use crate::runtime::block_on::block_on;
use crate::source::command::tests::{TempDir, failure, printed, sh};
use crate::source::command::{CommandToken, HelperRequest};
use crate::source::source::{Reason, TokenRequest, TokenSource};
use crate::token::token::Token;

#[test]
fn a_bazel_helper_reads_its_request() {
    let uri = "https://example.com/a".to_owned();
    let source = sh(
        r#"test "$2" = get && test "$(cat)" = '{"uri":"https://example.com/a"}' &&
        echo '{"headers":{"Authorization":["Bearer t0k"]}}'"#,
    );
    let source = source.request(HelperRequest::Bazel { uri }).unwrap();
    assert_eq!(printed(&source), "t0k");
}

#[test]
fn a_git_helper_reads_its_request() {
    let url = "https://example.com/a".to_owned();
    let source = sh(r#"test "$2" = get || exit 1
        while read line && test -n "$line"; do case "$line" in host=*) echo "password=for-${line#host=}"; esac; done"#);
    let source = source
        .request(HelperRequest::Git {
            url,
            with_path: true,
        })
        .unwrap();
    assert_eq!(printed(&source), "for-example.com");
}

#[test]
fn a_docker_helper_reads_its_request() {
    let server = "registry.example.com".to_owned();
    let source = sh(r#"test "$2" = get && printf '{"Username":"u","Secret":"for-%s"}' "$(cat)""#);
    let source = source.request(HelperRequest::Docker { server }).unwrap();
    assert_eq!(printed(&source), "for-registry.example.com");
}

#[test]
fn a_cargo_provider_prints_a_greeting_and_a_response() {
    let index = "sparse+https://example.com/index/".to_owned();
    let source = sh(r#"test "$2" = --cargo-plugin || exit 1
        echo '{"v":[1]}'
        read question
        case "$question" in *'"kind":"get"'*) ;; *) exit 1;; esac
        case "$question" in *'"index-url":"sparse+https://example.com/index/"'*) ;; *) exit 1;; esac
        echo '{"Ok":{"kind":"get","token":"Bearer t0k","cache":"session"}}'
        if read more; then exit 1; fi"#);
    let source = source.request(HelperRequest::Cargo { index }).unwrap();
    assert_eq!(printed(&source), "t0k");
}

#[test]
fn terraform_and_kubernetes_helpers_get_their_request() {
    let host = "app.example.com".to_owned();
    let source = sh(r#"printf '{"token":"%s-%s"}' "$2" "$3""#);
    let source = source.request(HelperRequest::Terraform { host }).unwrap();
    assert_eq!(printed(&source), "get-app.example.com");
    let server = "https://k8s.example.com".to_owned();
    let source = sh(
        r#"case "$KUBERNETES_EXEC_INFO" in *'"server":"https://k8s.example.com/"'*)
        echo '{"kind":"ExecCredential","status":{"token":"t0k"}}';; esac"#,
    );
    let source = source
        .request(HelperRequest::Kubernetes { server })
        .unwrap();
    assert_eq!(printed(&source), "t0k");
}

#[test]
fn google_and_pass_get_their_request() {
    let audience = "//iam.googleapis.com/projects/1".to_owned();
    let source = sh(r#"test "$GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE" = 0 || exit 1
        case "$GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE" in urn:*:jwt) ;; *) exit 1;; esac
        printf '{"version":1,"success":true,"token_type":"x","id_token":"for-%s","expiration_time":4102444800}' \
            "$GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE""#);
    let source = source.request(HelperRequest::Google { audience }).unwrap();
    assert_eq!(printed(&source), "for-//iam.googleapis.com/projects/1");
    let entry = "api/my token".to_owned();
    let source = sh(r#"test "$2:$3" = "show:api/my token" && printf 't0k\nuser: me\n'"#);
    let source = source.request(HelperRequest::Pass { entry }).unwrap();
    assert_eq!(printed(&source), "t0k");
}

#[test]
fn a_helper_that_has_no_credential_says_so_in_its_own_protocol() {
    let url = || "https://example.com/".to_owned();
    let git = || HelperRequest::Git {
        url: url(),
        with_path: false,
    };
    let server = "example.com".to_owned();
    let not_found = "echo credentials not found in native keychain; exit 1";
    let cargo = r#"echo '{"v":[1]}'; echo '{"Err":{"kind":"not-found"}}'"#;
    for (script, request, advice) in [
        ("true", git(), "git credential approve"),
        (
            "echo protocol=https; echo host=example.com",
            git(),
            "log in with",
        ),
        ("echo quit=1", git(), "`quit`"),
        (
            "echo '{}'",
            HelperRequest::Bazel { uri: url() },
            "needs no credential",
        ),
        (
            "echo '{ }'",
            HelperRequest::Terraform {
                host: server.clone(),
            },
            "terraform login",
        ),
        (not_found, HelperRequest::Docker { server }, "log in with"),
        (cargo, HelperRequest::Cargo { index: url() }, "log in with"),
    ] {
        let error = failure(&sh(script).request(request).unwrap());
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{script}");
        assert!(error.to_string().contains(advice), "{script}: {error}");
        assert!(
            !error.to_string().contains("it is empty"),
            "{script}: {error}"
        );
    }
}

#[test]
fn t8_a_helper_of_git_is_told_which_credential_was_rejected_only_if_the_user_wants_it() {
    let folder = TempDir::new();
    let source = |name: &str| {
        let log = folder.0.join(name);
        let source = sh(r#"{ echo "$2"; cat; } >> "$LOG"; test "$2" = get && echo password=t0k"#);
        let source = source.env("LOG", log).unwrap();
        let url = "https://example.com/a".to_owned();
        let with_path = false;
        source
            .request(HelperRequest::Git { url, with_path })
            .unwrap()
    };
    let fetch = |source: &CommandToken, reason| {
        let previous = Token::new("old").unwrap();
        let request = TokenRequest::for_reason(reason).with_previous(previous);
        block_on(source.fetch(&request)).unwrap();
    };
    let asked = "get\ncapability[]=authtype\nprotocol=https\nhost=example.com\n\n";
    fetch(&source("plain"), Reason::Rejected);
    let told = |name: &str| fs::read_to_string(folder.0.join(name)).unwrap();
    assert_eq!(told("plain"), asked);
    let erasing = source("erasing").erase_rejected().unwrap();
    fetch(&erasing, Reason::Due);
    assert_eq!(told("erasing"), asked);
    fetch(&erasing, Reason::Rejected);
    let server = "erase\ncapability[]=authtype\nprotocol=https\nhost=example.com\n";
    assert_eq!(
        told("erasing"),
        format!(
            "{asked}{server}password=old\n\n{server}authtype=Bearer\ncredential=old\n\n{asked}"
        )
    );
    assert!(sh("true").erase_rejected().is_err());
}

#[test]
fn a_helper_may_leave_its_request_unread() {
    let uri = format!("https://example.com/{}", "a".repeat(4000));
    let source = sh("echo t0k")
        .request(HelperRequest::Bazel { uri })
        .unwrap();
    assert_eq!(printed(&source), "t0k");
}
