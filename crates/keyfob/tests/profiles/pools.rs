//! T10: a pool with the settings of a profile.

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfob::{ErrorKind, Profiles};
use keyfob_testkit::{Expect, Server};
use serde_json::Value;

use crate::folder::Folder;
use crate::grants::{private_key, token_response};

#[test]
fn t10_a_pool_of_a_profile_signs_a_jwt_for_the_subject_of_each_key() {
    let (folder, server) = (Folder::new(), Server::start());
    let key = private_key(&folder, &ECDSA_P256_SHA256_FIXED_SIGNING);
    for (subject, scope) in [("anna", "read"), ("bert", "write")] {
        server.expect(
            Expect::post("/token")
                .matching("the subject and the scopes of the key", move |received| {
                    let assertion = received.form_value("assertion").unwrap_or_default();
                    let claims = assertion.split('.').nth(1).unwrap_or_default();
                    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
                    let claims: Value = serde_json::from_slice(&claims).unwrap();
                    claims["sub"] == subject
                        && received.form_value("scope").as_deref() == Some(scope)
                })
                .respond(token_response(subject)),
        );
    }
    let text = format!(
        "[profiles.crm]\nbase_url = \"https://crm.example.com/\"\nstore = \"memory\"\n[profiles.crm.token]\ngrant = \"jwt_bearer\"\n\
         token_endpoint = \"{}\"\nclient_id = \"a\"\nprivate_key = \"file:{}\"",
        server.url_for("/token"),
        key.display()
    );
    let profiles = Profiles::from_text(&text).unwrap();
    let pool = profiles
        .get("crm")
        .unwrap()
        .pool()
        .unwrap()
        .build()
        .unwrap();
    for (subject, scope) in [("anna", "read"), ("bert", "write")] {
        let key = keyfob::pool::PoolKey::builder(subject)
            .scopes([scope])
            .build()
            .unwrap();
        assert_eq!(
            pool.lease_blocking(&key, None).unwrap().token().expose(),
            subject
        );
    }
    server.verify();
    let text = "[profiles.fixed]\nbase_url = \"https://crm.example.com/\"\ntoken = \"env:A\"";
    let fixed = Profiles::from_text(text).unwrap();
    let error = fixed.get("fixed").unwrap().pool().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
}
