//! Kubernetes: projected token files, and the API server.

use std::fs;

use keyfob_testkit::ManualClock;
use keyfob_testkit::platforms::{Kubernetes, ReadJwt};
use std::time::Duration;

use crate::client::request;
use crate::platforms::json_of;

#[cfg(unix)]
#[test]
fn a_projected_token_is_replaced_in_one_step() {
    let folder = std::env::temp_dir().join(format!("keyfob-kubernetes-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let kubernetes = Kubernetes::start();
    let path = kubernetes.project(&folder, "api").unwrap();
    let first = fs::read_to_string(&path).unwrap();
    let again = kubernetes.project(&folder, "api").unwrap();
    let second = fs::read_to_string(&path).unwrap();
    let entries = fs::read_dir(&folder).unwrap().count();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!((path, entries), (again, 3));
    assert_ne!(first, second);
    assert_eq!(ReadJwt::read(&second).unwrap().text("jti"), Some("token-2"));
}

#[test]
fn the_api_server_accepts_its_own_audience_until_the_token_expires() {
    let clock = ManualClock::default();
    let kubernetes = Kubernetes::start_on(&clock);
    let ask = |audience: &str| {
        let token = format!("Bearer {}", kubernetes.token(audience));
        let headers = [("authorization", &*token)];
        let seen = request(
            kubernetes.server().address(),
            "GET",
            "/api/v1/pods",
            &headers,
            "",
        );
        (seen.status(), json_of(&seen)["kind"].clone())
    };
    assert_eq!(ask(Kubernetes::ISSUER), (200, "List".into()));
    assert_eq!(ask("other"), (401, "Status".into()));
    let old = format!("Bearer {}", kubernetes.token(Kubernetes::ISSUER));
    clock.advance(Duration::from_secs(3600));
    let headers = [("authorization", &*old)];
    let seen = request(
        kubernetes.server().address(),
        "GET",
        "/api/v1/pods",
        &headers,
        "",
    );
    assert_eq!(seen.status(), 401);
}
