//! A client registers itself at a server that a resource named (RFC 7591).

use keyfob::oauth::{Registration, RegistrationRequest};
use keyfob::{Error, ErrorKind};
use keyfob_testkit::{Expect, ScriptedResponse, json};

use crate::protected_resource::Resource;

/// The outcome of a registration to which the server responds in this way.
async fn register(response: ScriptedResponse) -> Result<Registration, Error> {
    let resource = Resource::new(r#"resource_metadata="$/doc""#);
    resource.describe("/doc", &json!({})).serve(&json!({}));
    resource
        .0
        .expect(Expect::post("/register").respond(response));
    let server = resource.authorization_server().await.unwrap();
    let request = RegistrationRequest::new("our tool", REDIRECT_URI).unwrap();
    let outcome = server.register(&request).await;
    if let Ok(registration) = &outcome {
        assert_eq!(registration.issuer(), resource.0.url());
    }
    outcome
}

#[tokio::test]
async fn a_public_client_of_a_native_program_is_registered() {
    let resource = Resource::new(r#"resource_metadata="$/doc""#);
    resource.describe("/doc", &json!({})).serve(&json!({}));
    let client = json!({"client_id": "c1ient", "redirect_uris": [REDIRECT_URI]});
    resource.0.expect(
        Expect::post("/register")
            .header("content-type", "application/json")
            .bearer("initi4l")
            .json(json!({
                "client_name": "our tool",
                "redirect_uris": [REDIRECT_URI],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
                "application_type": "native",
            }))
            .respond(ScriptedResponse::json(client).with_status(201)),
    );
    let server = resource.authorization_server().await.unwrap();
    assert!(server.registers_clients() && !server.accepts_client_metadata_url());
    let request = RegistrationRequest::new("our tool", REDIRECT_URI).unwrap();
    let request = request.initial_access_token("initi4l").unwrap();
    let registration = server.register(&request).await.unwrap();
    assert_eq!(registration.client_id(), "c1ient");
    assert_eq!(registration.redirect_uri(), REDIRECT_URI);
    resource.0.verify();
}

#[tokio::test]
async fn a_server_that_registers_no_clients_is_reported() {
    let resource = Resource::new(r#"resource_metadata="$/doc""#);
    resource.describe("/doc", &json!({}));
    resource.serve(&json!({"registration_endpoint": null}));
    let server = resource.authorization_server().await.unwrap();
    assert!(!server.registers_clients());
    let request = RegistrationRequest::new("our tool", REDIRECT_URI).unwrap();
    let error = server.register(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    let fix = "register one there yourself, and give its client id";
    assert!(error.to_string().contains(fix), "{error}");
}

#[tokio::test]
async fn another_client_than_was_asked_for_is_refused() {
    for (client, kind) in [
        (json!({}), ErrorKind::Malformed),
        (json!({"client_id": ""}), ErrorKind::Malformed),
        (json!({"client_id": "a\nb"}), ErrorKind::Malformed),
        (json!({"client_id": "a\u{202e}b"}), ErrorKind::Malformed),
        (json!({"client_id": "a".repeat(3000)}), ErrorKind::Malformed),
        (
            json!({"client_id": "a", "client_secret": "s3cr3t"}),
            ErrorKind::Refused,
        ),
        (
            json!({"client_id": "a", "token_endpoint_auth_method": "client_secret_basic"}),
            ErrorKind::Refused,
        ),
        (
            json!({"client_id": "a", "redirect_uris": ["http://127.0.0.1:1/other"]}),
            ErrorKind::Refused,
        ),
    ] {
        let error = register(ScriptedResponse::json(client.clone()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{client}: {error}");
        assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
    }
    // A secret that a public client got all the same is not needed.
    let client =
        json!({"client_id": "a", "client_secret": "s", "token_endpoint_auth_method": "none"});
    assert!(register(ScriptedResponse::json(client)).await.is_ok());
}

#[tokio::test]
async fn a_refused_registration_says_what_to_do() {
    for (status, code, words) in [
        (401, "invalid_token", "initial access token"),
        (403, "access_denied", "initial access token"),
        (400, "invalid_redirect_uri", "another redirect URI"),
        (400, "invalid_client_metadata", "give its client id"),
    ] {
        let refusal = json!({"error": code, "error_description": "s3cr3t"});
        let refusal = ScriptedResponse::json(refusal).with_status(status);
        let error = register(refusal).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains(words), "{error}");
        assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
    }
    let later = register(ScriptedResponse::unavailable()).await.unwrap_err();
    assert_eq!(later.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_registration_endpoint_in_another_network_gets_nothing() {
    let resource = Resource::new(r#"resource_metadata="$/doc""#);
    let members = json!({"registration_endpoint": "https://10.0.0.1/register"});
    resource.describe("/doc", &json!({})).serve(&members);
    let server = resource.authorization_server().await.unwrap();
    let request = RegistrationRequest::new("our tool", REDIRECT_URI).unwrap();
    let error = server.register(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Origin);
}

#[test]
fn an_error_that_refuses_the_client_is_recognized() {
    let refused = |text: &'static str| Registration::is_refused(&Error::refused(text));
    assert!(refused(
        "the token endpoint refused with `invalid_client` (401)"
    ));
    assert!(refused(
        "the server refused the sign-in with `unauthorized_client`"
    ));
    assert!(!refused(
        "the token endpoint refused with `invalid_grant` (400)"
    ));
    let later = Error::unavailable("`invalid_client`");
    assert!(!Registration::is_refused(&later));
}

const REDIRECT_URI: &str = "http://127.0.0.1:8400/callback";
