//! Client certificates at the authorization server: authentication, aliases of endpoints, and what is sent.

use keyfob::oauth::{
    Algorithm, Audience, Client, ClientAuthentication, ClientCredentials, SigningKey,
};
use keyfob::{ErrorKind, TokenCache};
use keyfob_testkit::{ClientCertificates, TlsServer, json};
use serde_json::Value;

use crate::fixtures::Folder;

#[tokio::test]
async fn a_client_with_a_certificate_sends_its_id_and_no_secret() {
    for who in [
        ClientAuthentication::tls_client_auth(),
        ClientAuthentication::self_signed_tls_client_auth(),
    ] {
        let folder = Folder::new();
        let endpoint = folder.token_endpoint();
        let client = folder
            .client(&endpoint)
            .authentication(who)
            .build()
            .unwrap();
        let token = TokenCache::new(ClientCredentials::new(client))
            .get_valid_token()
            .await;
        let bound_to = folder.certificate().thumbprint();
        assert!(token.unwrap().expose().starts_with(&bound_to));
        let request = &endpoint.received()[0];
        assert_eq!(
            request.body,
            "grant_type=client_credentials&client_id=reports"
        );
        assert_eq!(request.authorization, None);
    }
}

#[test]
fn a_client_that_authenticates_by_certificate_must_have_one() {
    let client = Client::builder("reports")
        .token_endpoint("https://login.example.com/token")
        .authentication(ClientAuthentication::tls_client_auth());
    let error = client.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(
        error.to_string().contains("`client_certificate`"),
        "{error}"
    );
}

/// An issuer whose metadata name other endpoints for clients with a certificate.
fn issuer(folder: &Folder, aliases: Value) -> TlsServer {
    let url = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let known = url.clone();
    let server = TlsServer::builder(&folder.authority)
        .client_certificates(ClientCertificates::Accepted)
        .start(move |request| {
            let url = known.get().unwrap();
            match request.line.contains(".well-known") {
                true => (
                    200,
                    json!({
                        "issuer": url,
                        "token_endpoint": format!("{url}/token"),
                        "revocation_endpoint": format!("{url}/revoke"),
                        "mtls_endpoint_aliases": aliases,
                    }),
                ),
                false => (
                    200,
                    json!({ "access_token": "usual", "token_type": "Bearer" }),
                ),
            }
        });
    url.set(server.url()).unwrap();
    server
}

async fn token_of(client: Client) -> Result<String, keyfob::Error> {
    let token = TokenCache::new(ClientCredentials::new(client))
        .get_valid_token()
        .await?;
    Ok(token.expose().to_owned())
}

#[tokio::test]
async fn requests_go_to_the_alias_of_an_endpoint_if_there_is_a_certificate() {
    let folder = Folder::new();
    let alias = folder.token_endpoint();
    let issuer = issuer(
        &folder,
        json!({ "token_endpoint": format!("{}/mtls", alias.url()) }),
    );
    let usual = || {
        Client::builder("reports")
            .issuer(issuer.url())
            .ca_file(folder.path("ca.pem"))
    };
    assert_eq!(token_of(usual().build().unwrap()).await.unwrap(), "usual");
    assert!(alias.received().is_empty());

    let client = usual()
        .client_certificate(&folder.certificate())
        .build()
        .unwrap();
    let token = token_of(client.clone()).await.unwrap();
    assert!(token.starts_with(&folder.certificate().thumbprint()));
    assert_eq!(alias.received()[0].line, "POST /mtls");
    // An endpoint without an alias is the usual one (RFC 8705 §5).
    client
        .revoke(&keyfob::Token::new("t0ken").unwrap())
        .await
        .unwrap();
    assert_eq!(issuer.received().last().unwrap().line, "POST /revoke");
}

#[tokio::test]
async fn r1_an_alias_must_be_as_safe_as_the_endpoint_that_it_replaces() {
    let folder = Folder::new();
    for alias in [
        "http://login.example.com/token",
        "not a URL",
        "https://a@b.example/",
    ] {
        let issuer = issuer(&folder, json!({ "token_endpoint": alias }));
        let client = Client::builder("reports")
            .issuer(issuer.url())
            .ca_file(folder.path("ca.pem"))
            .client_certificate(&folder.certificate())
            .build()
            .unwrap();
        token_of(client).await.unwrap_err();
        assert!(
            issuer
                .received()
                .iter()
                .all(|request| request.line.starts_with("GET"))
        );
    }
}

#[tokio::test]
async fn an_assertion_for_one_server_does_not_go_to_an_alias_at_another() {
    let folder = Folder::new();
    let alias = folder.token_endpoint();
    let issuer = issuer(
        &folder,
        json!({ "token_endpoint": format!("{}/mtls", alias.url()) }),
    );
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let audience = Audience::Other(format!("{}/token", issuer.url()));
    let client = Client::builder("reports")
        .issuer(issuer.url())
        .authentication(ClientAuthentication::private_key_jwt(key).audience(audience))
        .ca_file(folder.path("ca.pem"))
        .client_certificate(&folder.certificate())
        .build()
        .unwrap();
    let error = token_of(client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Origin, "{error}");
    assert!(alias.received().is_empty());
}

#[tokio::test]
async fn the_certificate_of_a_profile_goes_to_the_servers_that_it_is_for() {
    for (presented_to, at_token_endpoint, at_api) in [
        ("both", true, true),
        ("api", false, true),
        ("token_endpoint", true, false),
    ] {
        for token in [
            "grant = \"client_credentials\"\ntoken_endpoint = \"URL/token\"\nclient_id = \"a\"",
            "source = \"http\"\nurl = \"URL/token\"\ntoken_pointer = \"/access_token\"",
        ] {
            let folder = Folder::new();
            let (issuer, api) = (
                issuer(&folder, json!({})),
                folder.server(ClientCertificates::Accepted),
            );
            let path = |name: &str| folder.path(name).display().to_string();
            let text = format!(
                "[profiles.a]\nbase_url = \"{}\"\nstore = \"memory\"\nca_file = \"{}\"\n\
                 [profiles.a.client_certificate]\ncertificate = \"{}\"\nkey = \"{}\"\n\
                 presented_to = \"{presented_to}\"\n[profiles.a.token]\n{}\n",
                api.url(),
                path("ca.pem"),
                path("tls.crt"),
                path("tls.key"),
                token.replace("URL", &issuer.url())
            );
            let profiles = keyfob::Profiles::from_text(&text).unwrap();
            let session = profiles.get("a").unwrap().session().unwrap();
            session.get("data").send().await.unwrap();
            let presented = |server: &TlsServer| server.received()[0].certificate.is_some();
            assert_eq!(presented(&issuer), at_token_endpoint, "{text}");
            assert_eq!(presented(&api), at_api, "{text}");
        }
    }
}
