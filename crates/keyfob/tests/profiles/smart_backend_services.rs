//! Profiles that get their tokens by SMART Backend Services, from a FHIR server that is not trusted.

use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING;
use keyfob::{ErrorKind, Profiles, Token};
use keyfob_testkit::{Expect, ScriptedResponse, Server, json};

use crate::folder::Folder;
use crate::grants::{assertion_head, private_key, renewed, token_response};

#[test]
fn smart_backend_services_discover_the_token_endpoint_at_the_fhir_server() {
    let (folder, server) = (Folder::new(), Server::start());
    let key = private_key(&folder, &ECDSA_P384_SHA384_FIXED_SIGNING);
    server.expect(
        Expect::get("/fhir/.well-known/smart-configuration").respond(ScriptedResponse::json(
            json!({"token_endpoint": server.url_for("/token")}),
        )),
    );
    server.expect(
        Expect::post("/token")
            .form("scope", "system/Patient.rs")
            .matching("an assertion by ES384", |received| {
                assertion_head(received, "client_assertion")["alg"] == "ES384"
            })
            .respond(token_response("one")),
    );
    let text = format!(
        "[profiles.ehr]\nbase_url = \"{}\"\nstore = \"memory\"\n[profiles.ehr.token]\n\
         grant = \"smart_backend_services\"\nclient_id = \"bulk\"\nprivate_key = \"file:{}\"\n\
         scopes = \"system/Patient.rs\"",
        server.url_for("/fhir/"),
        key.display()
    );
    let profiles = Profiles::from_text(&text).expect("the file has no fault");
    let tokens = profiles
        .get("ehr")
        .and_then(|ehr| ehr.tokens())
        .expect("it can be made");
    assert_eq!(renewed(&tokens), "one");
    server.verify();
}

#[tokio::test]
async fn the_issuer_that_a_fhir_server_writes_is_not_believed() {
    let folder = Folder::new();
    let (honest, evil) = (Server::start(), Server::start());
    let key = private_key(&folder, &ECDSA_P384_SHA384_FIXED_SIGNING);
    evil.expect(
        Expect::get("/fhir/.well-known/smart-configuration").respond(ScriptedResponse::json(
            json!({
                "issuer": honest.url_for("/token"),
                "token_endpoint": honest.url_for("/token"),
                "introspection_endpoint": evil.url_for("/introspect"),
                "revocation_endpoint": evil.url_for("/revoke"),
            }),
        )),
    );
    let text = format!(
        "[profiles.ehr]\nbase_url = \"{}\"\nstore = \"memory\"\n[profiles.ehr.token]\n\
         grant = \"smart_backend_services\"\nclient_id = \"bulk\"\nprivate_key = \"file:{}\"",
        evil.url_for("/fhir/"),
        key.display()
    );
    let profiles = Profiles::from_text(&text).expect("the file has no fault");
    let profile = profiles.get("ehr").expect("it is there");
    let client = profile.client().await.expect("it can be made");
    let client = client.expect("it is a grant");
    let token = Token::new("t").expect("it is a token");
    let introspected = client.introspect(&token).await.map(|_| ());
    for outcome in [introspected, client.revoke(&token).await] {
        let error = outcome.expect_err("the assertion is for the honest server");
        assert_eq!(error.kind(), ErrorKind::Origin, "{error}");
    }
    assert_eq!(evil.calls(), 1, "only the configuration was fetched");
}
