//! Discovery of the endpoints of a server.

use keyfob::oauth::{Client, ClientCredentials, DeviceCode};
use keyfob::{ErrorKind, TokenCache};
use keyfob_testkit::{Expect, Gate, ManualClock, ScriptedResponse, Server, TokenEndpoint, json};

use crate::fixtures::{SECOND, token_of};

const OAUTH: &str = "/.well-known/oauth-authorization-server/tenant";
const OPENID: &str = "/tenant/.well-known/openid-configuration";

fn source(issuer: &str) -> ClientCredentials {
    ClientCredentials::new(Client::builder("desktop").issuer(issuer).build().unwrap())
}

#[tokio::test]
async fn the_oauth_path_is_tried_first_and_the_openid_path_second() {
    for found_at in [OAUTH, OPENID] {
        let endpoint = TokenEndpoint::start();
        let server = Server::start();
        let issuer = server.url_for("/tenant");
        let document =
            ScriptedResponse::json(json!({"issuer": issuer, "token_endpoint": endpoint.url()}));
        server.expect(Expect::get(found_at).respond(document));
        if found_at == OPENID {
            server.expect(
                Expect::get(OAUTH).respond(ScriptedResponse::text("<html>not here</html>")),
            );
        }
        assert_eq!(token_of(source(&issuer)).await.unwrap().expose(), "token-1");
        server.verify();
    }
}

#[tokio::test]
async fn anything_but_the_issuers_document_leads_to_the_next_path() {
    let endpoint = TokenEndpoint::start();
    let document = |issuer: &str| {
        ScriptedResponse::json(json!({"issuer": issuer, "token_endpoint": endpoint.url()}))
    };
    for wrong in [
        ScriptedResponse::json(json!({})),
        ScriptedResponse::json(json!([])),
        ScriptedResponse::json(json!(null)),
        ScriptedResponse::json(json!({"issuer": null, "token_endpoint": endpoint.url()})),
        ScriptedResponse::json(json!({"token_endpoint": "https://evil.example/token"})),
        document("https://evil.example"),
        ScriptedResponse::text("<html>not here</html>"),
        ScriptedResponse::text(""),
        ScriptedResponse::redirect(302, "/login"),
        ScriptedResponse::status(204),
        ScriptedResponse::status(404),
        ScriptedResponse::status(500),
        ScriptedResponse::close(),
    ] {
        let server = Server::start();
        let issuer = server.url_for("/tenant");
        let wrong_text = format!("{wrong:?}");
        server.expect(Expect::get(OAUTH).respond(wrong));
        server.expect(Expect::get(OPENID).respond(document(&issuer)));
        let token = token_of(source(&issuer)).await;
        assert_eq!(
            token.unwrap().expose().get(..6),
            Some("token-"),
            "{wrong_text}"
        );
        server.verify();
    }
}

#[tokio::test]
async fn a_path_that_stays_silent_leads_to_the_next_one() {
    let endpoint = TokenEndpoint::start();
    let document = |issuer: &str| {
        ScriptedResponse::json(json!({"issuer": issuer, "token_endpoint": endpoint.url()}))
    };
    let gate = Gate::new();
    // The second row: a slow server that knows only the first path, which is waited for.
    for silent in [true, false] {
        let server = Server::start();
        let issuer = server.url_for("/tenant");
        let (oauth, openid) = match silent {
            true => (ScriptedResponse::hang(), document(&issuer)),
            false => (document(&issuer).when(&gate), ScriptedResponse::status(404)),
        };
        server.expect(Expect::get(OAUTH).respond(oauth));
        server.expect(Expect::get(OPENID).respond(openid));
        let clock = ManualClock::default();
        let client = Client::builder("desktop")
            .issuer(&issuer)
            .clock(clock.clone())
            // The silent path cannot end by itself.
            .timeout(SECOND * 3600);
        let source = ClientCredentials::new(client.build().unwrap());
        let token = tokio::spawn(token_of(source));
        clock.until_sleeping_for(SECOND * 5).await;
        server.until_calls(1).await;
        assert_eq!(server.calls(), 1);
        clock.advance(SECOND * 5);
        if !silent {
            server.until_calls(2).await;
            gate.open();
        }
        let token = token.await.unwrap().unwrap();
        assert_eq!(token.expose().get(..6), Some("token-"));
        server.verify();
    }
}

#[tokio::test]
async fn paths_that_both_stay_silent_are_a_timeout() {
    let server = Server::start();
    server.expect(Expect::get(OAUTH).respond(ScriptedResponse::hang()));
    server.expect(Expect::get(OPENID).respond(ScriptedResponse::hang()));
    let client = Client::builder("desktop").issuer(server.url_for("/tenant"));
    let client = client.timeout(SECOND / 5).build().unwrap();
    let error = token_of(ClientCredentials::new(client)).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    server.verify();
}

#[tokio::test]
async fn what_is_not_needed_may_be_null_or_wrong() {
    let endpoint = TokenEndpoint::start();
    let server = Server::start();
    let issuer = server.url_for("/tenant");
    let document = json!({
        "issuer": issuer,
        "token_endpoint": endpoint.url(),
        "introspection_endpoint": "http://login.example.com/introspect",
        "revocation_endpoint": "not a URL",
        "device_authorization_endpoint": null,
        "authorization_endpoint": ["https://login.example.com"],
        "authorization_response_iss_parameter_supported": "yes",
        "code_challenge_methods_supported": null,
    });
    server.expect(Expect::get(OAUTH).respond(ScriptedResponse::json(document)));
    let client = Client::builder("desktop").issuer(&issuer).build().unwrap();
    token_of(ClientCredentials::new(client.clone()))
        .await
        .unwrap();

    // An endpoint that is needed after all has the error.
    let token = keyfob::Token::new("t").unwrap();
    assert_eq!(
        client.introspect(&token).await.unwrap_err().kind(),
        ErrorKind::Origin
    );
    let error = client.revoke(&token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input, "{error}");
}

#[tokio::test]
async fn an_endpoint_that_the_metadata_lack_is_given_in_place_of_the_issuer() {
    let server = Server::start();
    let issuer = server.url_for("/tenant");
    let document = json!({"issuer": issuer, "token_endpoint": server.url_for("/token")});
    server.expect(Expect::get(OAUTH).always(ScriptedResponse::json(document)));
    let client = Client::builder("desktop").issuer(&issuer).build().unwrap();
    let token = keyfob::Token::new("t").unwrap();
    let sign_in = DeviceCode::new(client.clone()).start().await;
    for (error, key) in [
        (
            client.introspect(&token).await.unwrap_err(),
            "introspection_endpoint",
        ),
        (
            client.revoke(&token).await.unwrap_err(),
            "revocation_endpoint",
        ),
        (sign_in.unwrap_err(), "device_authorization_endpoint"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Input);
        let fix = format!("give `token_endpoint` and `{key}` in place of `issuer`");
        assert!(error.to_string().contains(&fix), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_url_in_the_metadata_is_for_the_server_to_correct() {
    for (url, fault) in [
        ("/token", "is not absolute"),
        ("https://", "cannot be parsed"),
        ("javascript:alert(1)", "another scheme"),
        ("https://u@a.example/token", "userinfo"),
        ("https://a.example/token#f", "fragment"),
    ] {
        let server = Server::start();
        let issuer = server.url_for("/tenant");
        let document = json!({"issuer": issuer, "token_endpoint": url});
        server.expect(Expect::get(OAUTH).respond(ScriptedResponse::json(document)));
        server.expect(Expect::get(OPENID).respond(ScriptedResponse::status(404)));
        let error = token_of(source(&issuer)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        let text = error.to_string();
        let fix = "correct it at the server, or give `token_endpoint` in place of `issuer`";
        assert!(text.contains(fix) && text.contains(fault), "{text}");
        let whose = format!("at {} names no usable token endpoint", server.url());
        assert!(text.contains(&whose), "{text}");

        let server = Server::start();
        let issuer = server.url_for("/tenant");
        let document = json!({
            "issuer": issuer, "token_endpoint": server.url_for("/token"), "revocation_endpoint": url,
        });
        server.expect(Expect::get(OAUTH).respond(ScriptedResponse::json(document)));
        let client = Client::builder("desktop").issuer(&issuer).build().unwrap();
        let error = client.revoke(&keyfob::Token::new("t").unwrap()).await;
        let text = error.unwrap_err().to_string();
        let fix = "give `token_endpoint` and `revocation_endpoint` in place of `issuer`";
        assert!(text.contains(fix) && text.contains(fault), "{text}");
    }
}

#[tokio::test]
async fn the_error_of_a_redirect_says_that_it_is_not_followed() {
    let server = Server::start();
    let moved = ScriptedResponse::redirect(301, "https://login.example.com/");
    server.expect(Expect::any().always(moved));
    let error = token_of(source(&server.url_for("/tenant"))).await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("(301); it redirects"), "{text}");
}

#[tokio::test]
async fn an_issuer_that_is_the_url_of_a_document_is_named_in_the_error() {
    for response in [
        ScriptedResponse::status(404),
        ScriptedResponse::text("<html>not here</html>"),
    ] {
        let server = Server::start();
        server.expect(Expect::any().always(response));
        let error = token_of(source(&server.url_for(OPENID))).await;
        let text = error.unwrap_err().to_string();
        let fix = "give the issuer without `/.well-known/…`";
        assert!(text.ends_with(fix), "{text}");
    }
}

#[tokio::test]
async fn the_error_names_the_issuer_that_the_server_wrote_and_the_fix() {
    let endpoint = TokenEndpoint::start();
    for (written, fix) in [
        ("/tenant/", "slash"),
        ("/other", "several tenants"),
        ("/TENANT", "case"),
    ] {
        let written = endpoint.server().url_for(written);
        let document = json!({"issuer": written, "token_endpoint": endpoint.url()});
        let server = Server::start();
        let of_server = |url: &str| url.replace(&endpoint.server().url(), &server.url());
        let document = of_server(&document.to_string());
        let other = || ScriptedResponse::text(document.clone());
        server.expect(Expect::get(OAUTH).respond(other()));
        server.expect(Expect::get(OPENID).respond(other()));
        let error = token_of(source(&server.url_for("/tenant")))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        let text = error.to_string();
        assert!(
            text.contains(&of_server(&written)) && text.contains(fix),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_lifetime_of_metadata_is_that_of_the_server() {
    let endpoint = TokenEndpoint::start();
    let server = Server::start();
    let issuer = server.url_for("/tenant");
    let document = json!({"issuer": issuer, "token_endpoint": endpoint.url()});
    let document = ScriptedResponse::json(document).header("cache-control", "public, max-age=7200");
    server.expect(Expect::get(OAUTH).always(document));
    let clock = ManualClock::default();
    let client = Client::builder("desktop")
        .issuer(&issuer)
        .clock(clock.clone());
    let tokens = TokenCache::new(ClientCredentials::new(client.build().unwrap()));
    for (passed, calls) in [(0, 1), (7199, 1), (1, 2)] {
        clock.advance(SECOND * passed);
        tokens.renew().await.unwrap();
        assert_eq!(server.calls(), calls, "after {passed} s more");
    }
}

#[tokio::test]
async fn metadata_that_lead_to_a_failure_are_fetched_again() {
    let (old, new) = (Server::start(), TokenEndpoint::start());
    let server = Server::start();
    let issuer = server.url_for("/tenant");
    let names =
        |url: String| ScriptedResponse::json(json!({"issuer": issuer, "token_endpoint": url}));
    server.expect(
        Expect::get(OAUTH)
            .respond(names(old.url_for("/token")))
            .respond(names(new.url())),
    );
    old.expect(
        Expect::post("/token")
            .respond(ScriptedResponse::json(
                json!({"access_token": "old", "token_type": "Bearer"}),
            ))
            .always(ScriptedResponse::status(404)),
    );
    let clock = ManualClock::default();
    let client = Client::builder("desktop")
        .issuer(&issuer)
        .clock(clock.clone());
    let tokens = TokenCache::new(ClientCredentials::new(client.build().unwrap()));
    tokens.renew().await.unwrap();
    assert_eq!(tokens.get_valid_token().await.unwrap().expose(), "old");
    // Just fetched, they cannot be the reason.
    assert!(tokens.renew().await.is_err());
    assert_eq!(server.calls(), 1);
    clock.advance(SECOND * 61);
    tokens.renew().await.unwrap();
    assert_eq!(tokens.get_valid_token().await.unwrap().expose(), "token-1");
    server.verify();
}

#[tokio::test]
async fn the_issuer_in_the_metadata_must_match_exactly() {
    let endpoint = TokenEndpoint::start();
    for change in ["/", "/other", "?x"] {
        let server = Server::start();
        let issuer = server.url_for("/tenant");
        let document =
            json!({"issuer": format!("{issuer}{change}"), "token_endpoint": endpoint.url()});
        server.expect(Expect::get(OAUTH).respond(ScriptedResponse::json(document)));
        server.expect(Expect::get(OPENID).respond(ScriptedResponse::status(404)));
        let error = token_of(source(&issuer)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("another issuer"), "{error}");
    }
    assert_eq!(endpoint.calls(), 0);
}

#[tokio::test]
async fn metadata_are_used_for_their_lifetime_and_during_an_outage() {
    let endpoint = TokenEndpoint::start();
    let server = Server::start();
    let issuer = server.url_for("/tenant");
    let document =
        ScriptedResponse::json(json!({"issuer": issuer, "token_endpoint": endpoint.url()}));
    server.expect(
        Expect::get(OAUTH)
            .respond(document)
            .respond(ScriptedResponse::unavailable()),
    );
    server.expect(Expect::get(OPENID).respond(ScriptedResponse::unavailable()));
    let clock = ManualClock::default();
    let client = Client::builder("desktop")
        .issuer(&issuer)
        .clock(clock.clone())
        .build()
        .unwrap();
    let tokens = TokenCache::new(ClientCredentials::new(client));
    for _ in 0..3 {
        tokens.renew().await.unwrap();
    }
    assert_eq!(server.calls(), 1);
    clock.advance(Client::METADATA_LIFETIME - SECOND);
    tokens.renew().await.unwrap();
    assert_eq!(server.calls(), 1);
    clock.advance(SECOND);
    tokens.renew().await.unwrap();
    assert_eq!(server.calls(), 3);
    server.verify();
}

#[tokio::test]
async fn t2_metadata_stay_in_use_while_another_document_is_in_their_place() {
    for wrong in [
        ScriptedResponse::json(json!({"status": "maintenance"})),
        ScriptedResponse::json(json!({"issuer": "https://other.example"})),
        ScriptedResponse::text("<html>back soon</html>"),
        ScriptedResponse::redirect(302, "/maintenance"),
    ] {
        let text = format!("{wrong:?}");
        let endpoint = TokenEndpoint::start();
        let server = Server::start();
        let issuer = server.url_for("/tenant");
        let document = json!({"issuer": issuer, "token_endpoint": endpoint.url()});
        let expect = Expect::get(OAUTH).respond(ScriptedResponse::json(document));
        server.expect(expect.always(wrong.clone()));
        server.expect(Expect::get(OPENID).always(wrong));
        let clock = ManualClock::default();
        let client = Client::builder("desktop").issuer(&issuer);
        let client = client.clock(clock.clone()).build().unwrap();
        let tokens = TokenCache::new(ClientCredentials::new(client));
        tokens.renew().await.unwrap();
        clock.advance(Client::METADATA_LIFETIME);
        tokens.renew().await.expect(&text);
        assert_eq!(server.calls(), 3, "{text}");
    }
}

#[tokio::test]
async fn t2_a_document_without_an_issuer_is_no_refusal() {
    let server = Server::start();
    let issuer = server.url_for("/tenant");
    let document = ScriptedResponse::json(json!({"status": "maintenance"}));
    server.expect(Expect::any().always(document));
    let error = token_of(source(&issuer)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn t2_missing_metadata_are_requested_again() {
    let server = Server::start();
    let issuer = server.url_for("/tenant");
    server.expect(Expect::get(OAUTH).respond(ScriptedResponse::status(404)));
    let response = ScriptedResponse::status(404).header("retry-after", "5");
    server.expect(Expect::get(OPENID).respond(response));
    let error = token_of(source(&issuer)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.pause(), Some(5 * SECOND));
}

#[tokio::test]
async fn r1_metadata_with_a_plain_http_endpoint_on_another_host_are_refused() {
    let server = Server::start();
    let issuer = server.url_for("/tenant");
    let document = json!({"issuer": issuer, "token_endpoint": "http://login.example.com/token"});
    server.expect(Expect::get(OAUTH).respond(ScriptedResponse::json(document)));
    server.expect(Expect::get(OPENID).respond(ScriptedResponse::status(404)));
    let error = token_of(source(&issuer)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Origin);
}
