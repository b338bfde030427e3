//! A server that is reached over plain http inside a cluster, which has to be allowed for its exact origin.

use keyfob::ErrorKind;
use keyfob::oauth::{Client, ClientAuthentication, ClientBuilder, ClientCredentials};
use keyfob_testkit::{Expect, ScriptedResponse, Server, json};

use crate::fixtures::token_of;

const NAME: &str = "keycloak.auth.svc";

/// The origin of this server by its name in the cluster.
fn origin(server: &Server) -> String {
    format!("http://{NAME}:{}", server.address().port())
}

/// A client whose name server knows the server's name.
fn client(server: &Server) -> ClientBuilder {
    let http = reqwest::Client::builder().no_proxy();
    Client::builder("reports")
        .authentication(ClientAuthentication::secret_post("s3cr3t"))
        .http(http.resolve(NAME, server.address()))
}

#[tokio::test]
async fn r1_plain_http_to_another_machine_is_refused_and_the_error_says_how_to_allow_it() {
    let server = Server::start();
    for builder in [
        client(&server).issuer(origin(&server)),
        client(&server).token_endpoint(format!("{}/token", origin(&server))),
        // Another port is another origin.
        client(&server)
            .issuer(origin(&server))
            .allow_plain_http(format!("http://{NAME}:1")),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Origin);
        assert!(error.to_string().contains("`allow_plain_http`"), "{error}");
    }
    let builder = client(&server).issuer(origin(&server));
    let error = builder.allow_plain_http("keycloak").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn r1_an_allowed_origin_may_have_the_issuer_and_its_endpoints() {
    let server = Server::start();
    let issuer = origin(&server);
    let document = json!({"issuer": issuer, "token_endpoint": format!("{issuer}/token")});
    let path = "/.well-known/oauth-authorization-server";
    server.expect(Expect::get(path).respond(ScriptedResponse::json(document)));
    let token = json!({"access_token": "t0ken", "token_type": "Bearer"});
    server.expect(Expect::post("/token").respond(ScriptedResponse::json(token)));
    let client = client(&server).issuer(&issuer).allow_plain_http(&issuer);
    let token = token_of(ClientCredentials::new(client.build().unwrap())).await;
    assert_eq!(token.unwrap().expose(), "t0ken");
    server.verify();
}

#[tokio::test]
async fn r1_metadata_must_not_name_an_endpoint_at_another_plain_http_origin() {
    let server = Server::start();
    let issuer = origin(&server);
    let document = json!({"issuer": issuer, "token_endpoint": "http://other.auth.svc/token"});
    let path = "/.well-known/oauth-authorization-server";
    server.expect(Expect::get(path).respond(ScriptedResponse::json(document)));
    let openid = "/.well-known/openid-configuration";
    server.expect(Expect::get(openid).respond(ScriptedResponse::status(404)));
    let client = client(&server).issuer(&issuer).allow_plain_http(&issuer);
    let error = token_of(ClientCredentials::new(client.build().unwrap())).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Origin);
}
