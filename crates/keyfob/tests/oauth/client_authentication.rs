//! Client authentication.

use std::collections::HashSet;
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::signature;
use aws_lc_rs::signature::UnparsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfob::oauth::{
    Algorithm, Audience, Client, ClientAuthentication, ClientCredentials, JwtBearer, SigningKey,
};
use keyfob::{ErrorKind, TokenCache};
use keyfob_testkit::{ManualClock, Received, TokenEndpoint};
use serde_json::Value;

use crate::fixtures::{basic, client_with, form_values, last, read_jwt, token_of};

async fn request_of(who: ClientAuthentication) -> (TokenEndpoint, Received) {
    let endpoint = TokenEndpoint::start();
    token_of(ClientCredentials::new(client_with(&endpoint, who)))
        .await
        .unwrap();
    let asked = last(&endpoint);
    (endpoint, asked)
}

#[tokio::test]
async fn a_basic_secret_is_form_encoded_first() {
    let (_, asked) = request_of(ClientAuthentication::secret_basic("p:ä +%")).await;
    assert_eq!(basic(&asked), "desktop:p%3A%C3%A4+%2B%25");
    assert_eq!(form_values(&asked, "client_secret").len(), 0);
}

#[tokio::test]
async fn a_basic_secret_is_sent_unencoded_if_the_server_requires_it() {
    let (_, asked) = request_of(ClientAuthentication::secret_basic_unencoded("p:ä +%")).await;
    assert_eq!(basic(&asked), "desktop:p:ä +%");
}

#[tokio::test]
async fn a_secret_in_the_form_adds_no_authorization_header() {
    let (_, asked) = request_of(ClientAuthentication::secret_post("p:ä +%")).await;
    assert_eq!(form_values(&asked, "client_id"), ["desktop"]);
    assert_eq!(form_values(&asked, "client_secret"), ["p:ä +%"]);
    assert_eq!(asked.header("authorization"), None);
}

#[tokio::test]
async fn a_public_client_names_itself() {
    let (_, asked) = request_of(ClientAuthentication::none()).await;
    assert_eq!(form_values(&asked, "client_id"), ["desktop"]);
    assert_eq!(asked.header("authorization"), None);
}

#[tokio::test]
async fn a_private_key_signs_a_jwt_that_names_the_client() {
    for algorithm in [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ] {
        let key = SigningKey::generate(algorithm).unwrap().key_id("k1");
        let who = ClientAuthentication::private_key_jwt(key.clone());
        let (endpoint, asked) = request_of(who).await;
        assert_eq!(form_values(&asked, "client_id"), ["desktop"]);
        assert_eq!(
            form_values(&asked, "client_assertion_type"),
            ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
        );
        let assertion = asked.form_value("client_assertion").unwrap();
        let (head, claims) = read_jwt(&assertion);
        assert_eq!(head["alg"], algorithm.name());
        assert_eq!(head["kid"], "k1");
        assert_eq!(claims["iss"], "desktop");
        assert_eq!(claims["sub"], "desktop");
        assert_eq!(claims["aud"], endpoint.url());
        let lasts = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
        assert_eq!(lasts, ClientAuthentication::ASSERTION_LIFETIME.as_secs());
        verify(&key, &assertion);
    }
}

/// Checks the signature with the public key.
fn verify(key: &SigningKey, jws: &str) {
    let jwk: Value = serde_json::from_str(&key.public_jwk()).unwrap();
    let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let (message, signed) = jws.rsplit_once('.').unwrap();
    let signed = URL_SAFE_NO_PAD.decode(signed).unwrap();
    let point = || [vec![4], part("x"), part("y")].concat();
    let checked = match key.signs_as() {
        Algorithm::Rs256 | Algorithm::Rs384 => {
            let algorithm = match key.signs_as() {
                Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                _ => &signature::RSA_PKCS1_2048_8192_SHA384,
            };
            let components = signature::RsaPublicKeyComponents {
                n: part("n"),
                e: part("e"),
            };
            components.verify(algorithm, message.as_bytes(), &signed)
        }
        Algorithm::Es256 => UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point())
            .verify(message.as_bytes(), &signed),
        Algorithm::Es384 => UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point())
            .verify(message.as_bytes(), &signed),
        _ => UnparsedPublicKey::new(&signature::ED25519, part("x"))
            .verify(message.as_bytes(), &signed),
    };
    assert!(checked.is_ok(), "{} does not verify", key.signs_as().name());
}

#[tokio::test]
async fn each_request_has_its_own_jwt() {
    let endpoint = TokenEndpoint::start();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let client = client_with(&endpoint, ClientAuthentication::private_key_jwt(key));
    let tokens = TokenCache::new(ClientCredentials::new(client));
    for _ in 0..5 {
        tokens.renew().await.unwrap();
    }
    let received = endpoint.server().received();
    let ids = received.iter().map(|asked| {
        let (_, claims) = read_jwt(&asked.form_value("client_assertion").unwrap());
        claims["jti"].as_str().unwrap().to_owned()
    });
    assert_eq!(ids.collect::<HashSet<_>>().len(), 5);
}

#[tokio::test]
async fn a_jwt_has_the_configured_audience() {
    let endpoint = TokenEndpoint::start();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    for (audience, expected) in [
        (Audience::Issuer, "https://login.example.com".to_owned()),
        (Audience::TokenEndpoint, endpoint.url()),
        (Audience::Other("urn:x".to_owned()), "urn:x".to_owned()),
    ] {
        let who = ClientAuthentication::private_key_jwt(key.clone())
            .audience(audience)
            .assertion_lifetime(Duration::from_secs(9));
        let client = Client::builder("desktop")
            .token_endpoint(endpoint.url())
            .issuer("https://login.example.com")
            .authentication(who)
            .build()
            .unwrap();
        token_of(ClientCredentials::new(client)).await.unwrap();
        let asked = last(&endpoint);
        let (_, claims) = read_jwt(&asked.form_value("client_assertion").unwrap());
        assert_eq!(claims["aud"], expected);
        let lasts = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
        assert_eq!(lasts, 9);
    }
    let who = ClientAuthentication::private_key_jwt(key).audience(Audience::Issuer);
    let error = token_of(ClientCredentials::new(client_with(&endpoint, who)));
    assert_eq!(error.await.unwrap_err().kind(), ErrorKind::Input);
}

#[test]
fn s1_no_debug_output_of_a_client_shows_its_secret() {
    let endpoint = TokenEndpoint::start();
    for who in [
        ClientAuthentication::secret_basic("s3cr3t"),
        ClientAuthentication::secret_basic_unencoded("s3cr3t"),
        ClientAuthentication::secret_post("s3cr3t"),
    ] {
        let client = client_with(&endpoint, who.clone());
        let source = ClientCredentials::new(client.clone()).parameter("password", "s3cr3t");
        assert!(!format!("{who:?} {client:?} {source:?}").contains("s3cr3t"));
    }
}

#[tokio::test]
async fn an_assertion_contains_the_thumbprint_of_the_keys_certificate() {
    let pair = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    let both = pair.signing_key.serialize_pem() + &pair.cert.pem();
    let key = SigningKey::from_pem(&both).unwrap();
    let key = key.certificate_pem(&both).unwrap();
    let (_, asked) = request_of(ClientAuthentication::private_key_jwt(key)).await;
    let (header, _) = read_jwt(&asked.form_value("client_assertion").unwrap());
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, pair.cert.der());
    assert_eq!(header["x5t#S256"], URL_SAFE_NO_PAD.encode(hash));
}

#[test]
fn a_certificate_of_another_key_is_refused() {
    let key = || SigningKey::generate(Algorithm::Es256).unwrap();
    let other = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    for (text, says) in [
        (other.cert.pem(), "does not belong to the private key"),
        (other.signing_key.serialize_pem(), "is not in PEM form"),
    ] {
        let error = key().certificate_pem(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn an_assertion_has_the_times_of_the_clients_clock() {
    let (endpoint, clock) = (TokenEndpoint::start(), ManualClock::default());
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let client = Client::builder("desktop")
        .token_endpoint(endpoint.url())
        .authentication(ClientAuthentication::private_key_jwt(key.clone()))
        .clock(clock.clone())
        .build()
        .unwrap();
    token_of(ClientCredentials::new(client.clone()))
        .await
        .unwrap();
    token_of(JwtBearer::signed(client, key)).await.unwrap();
    let now = clock.wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let received = endpoint.server().received();
    let names = ["client_assertion", "assertion"];
    for (request, name) in received.iter().zip(names) {
        let (_, claims) = read_jwt(&request.form_value(name).unwrap());
        assert_eq!(claims["iat"], now, "{name}");
        assert_eq!(claims["exp"], now + 60, "{name}");
    }
}
