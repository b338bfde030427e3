//! A resource says where a person signs in (RFC 9728). Neither the resource nor its authorization server is trusted.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use keyfob::oauth::{AuthorizationServer, ProtectedResource};
use keyfob::{Error, ErrorKind};
use keyfob_testkit::{
    Expect, Leaf, ScriptedResponse, Server, TestAuthority, TlsRequest, TlsServer, json,
};
use serde_json::Value;
use tokio::time::timeout;

use crate::sign_in::METADATA;

const DOCUMENT: &str = "/.well-known/oauth-protected-resource";

/// A resource at `/mcp`, whose server is also its authorization server.
pub(crate) struct Resource(pub(crate) Server);

impl Resource {
    /// The challenge has these parameters; with none, there is no challenge.
    pub(crate) fn new(parameters: &str) -> Self {
        let server = Server::start();
        let refusal = match parameters {
            "" => ScriptedResponse::status(401),
            _ => ScriptedResponse::unauthorized(
                &format!("Bearer {parameters}").replace("$", &server.url()),
            ),
        };
        server.expect(Expect::get("/mcp").always(refusal));
        Self(server)
    }

    pub(crate) fn url(&self) -> String {
        self.0.url_for("/mcp")
    }

    /// Has nothing at this path.
    pub(crate) fn lack(&self, path: &str) -> &Self {
        let response = ScriptedResponse::status(404);
        self.0.expect(Expect::get(path).always(response));
        self
    }

    /// Puts a document at this path. Its members replace the usual ones.
    pub(crate) fn describe(&self, path: &str, members: &Value) -> &Self {
        let mut document = json!({
            "resource": self.url(),
            "authorization_servers": [self.0.url()],
            "scopes_supported": ["read", "write"],
        });
        replace(&mut document, members);
        let response = ScriptedResponse::json(document);
        self.0.expect(Expect::get(path).always(response));
        self
    }

    /// The metadata of the authorization server. These members replace the usual ones.
    pub(crate) fn serve(&self, members: &Value) -> &Self {
        let mut document = json!({
            "issuer": self.0.url(),
            "authorization_endpoint": self.0.url_for("/authorize"),
            "token_endpoint": self.0.url_for("/token"),
            "registration_endpoint": self.0.url_for("/register"),
            "code_challenge_methods_supported": ["S256"],
        });
        replace(&mut document, members);
        let response = ScriptedResponse::json(document);
        self.0.expect(Expect::get(METADATA).always(response));
        self
    }

    pub(crate) async fn discover(&self) -> Result<ProtectedResource, Error> {
        ProtectedResource::discover(self.url()).await
    }

    pub(crate) async fn authorization_server(&self) -> Result<AuthorizationServer, Error> {
        let resource = self.discover().await?;
        let issuer = resource.authorization_servers()[0].clone();
        resource.authorization_server(&issuer).await
    }

    fn paths(&self) -> Vec<String> {
        let received = self.0.received().into_iter();
        received.map(|received| received.path).collect()
    }
}

fn replace(document: &mut Value, members: &Value) {
    for (name, value) in members.as_object().unwrap() {
        document[name] = value.clone();
    }
}

#[tokio::test]
async fn a_challenge_names_the_metadata_and_the_scopes() {
    let resource = Resource::new(r#"resource_metadata="$/somewhere", scope="mcp:tools mcp:read""#);
    resource.describe("/somewhere", &json!({}));
    let found = resource.discover().await.unwrap();
    assert_eq!(found.resource(), resource.url());
    assert_eq!(found.authorization_servers(), [resource.0.url()]);
    assert_eq!(found.scopes(), ["mcp:tools", "mcp:read"]);
    assert!(!found.requires_dpop() && !found.requires_certificate());
    assert_eq!(resource.paths(), ["/mcp", "/somewhere"]);
    let first = &resource.0.received()[0];
    assert_eq!(first.header("authorization"), None);
}

#[tokio::test]
async fn without_a_challenge_the_path_comes_first_and_then_the_root() {
    let with_path = format!("{DOCUMENT}/mcp");
    let resource = Resource::new("");
    let root = json!({"resource": resource.0.url()});
    resource.lack(&with_path).describe(DOCUMENT, &root);
    let found = resource.discover().await.unwrap();
    assert_eq!(found.resource(), resource.0.url());
    assert_eq!(found.scopes(), ["read", "write"]);
    assert_eq!(resource.paths(), ["/mcp", &with_path, DOCUMENT]);

    let resource = Resource::new("error=\"invalid_token\"");
    resource.describe(&with_path, &json!({}));
    assert_eq!(
        resource.discover().await.unwrap().resource(),
        resource.url()
    );
    assert_eq!(resource.paths(), ["/mcp", &with_path]);
}

#[tokio::test]
async fn a_page_for_each_path_is_no_document() {
    let resource = Resource::new("");
    let page = ScriptedResponse::text("<!doctype html>");
    resource
        .0
        .expect(Expect::get(&format!("{DOCUMENT}/mcp")).always(page));
    resource.describe(DOCUMENT, &json!({}));
    assert!(resource.discover().await.is_ok());
}

#[tokio::test]
async fn only_the_same_origin_and_a_beginning_of_the_path_is_the_resource() {
    for (named, accepted) in [
        ("$/mcp", true),
        ("$/mcp/", true),
        ("$/", true),
        ("$", true),
        ("$/mc", false),
        ("$/mcp2", false),
        ("$/mcp/deeper", false),
        ("$/mcp#part", false),
        ("$/mcp?tenant=1", false),
        ("$/other/%2e%2e/mcp", true),
        ("https://evil.example/mcp", false),
        ("http://localhost/mcp", false),
        ("/mcp", false),
        ("", false),
        ("$/mcp\u{1b}[2J", false),
    ] {
        let resource = Resource::new(r#"resource_metadata="$/doc""#);
        let named = named.replace('$', &resource.0.url());
        resource.describe("/doc", &json!({"resource": named}));
        let found = resource.discover().await;
        match (found, accepted) {
            (Ok(found), true) => assert_eq!(found.resource(), named),
            (Err(error), false) => {
                assert_eq!(error.kind(), ErrorKind::Refused, "{named}");
                assert!(!error.to_string().contains('\u{1b}'), "{error}");
                assert!(!error.to_string().contains("tenant"), "{error}");
            }
            (found, _) => panic!("{named}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn a_resource_without_metadata_is_an_error_that_says_so() {
    let resource = Resource::new("");
    resource.lack(&format!("{DOCUMENT}/mcp")).lack(DOCUMENT);
    let error = resource.discover().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("RFC 9728"), "{error}");
    let open = Server::start();
    open.expect(Expect::get("/").always(ScriptedResponse::text("hello")));
    open.expect(Expect::get(DOCUMENT).always(ScriptedResponse::status(404)));
    let error = ProtectedResource::discover(open.url()).await.unwrap_err();
    assert!(error.to_string().contains("needs no token"), "{error}");
}

#[tokio::test]
async fn metadata_that_cannot_be_used_are_an_error() {
    for (members, words) in [
        (json!({"resource": null}), "names no resource"),
        (
            json!({"authorization_servers": []}),
            "no authorization server",
        ),
        (
            json!({"authorization_servers": "a"}),
            "no authorization server",
        ),
        (json!({"bearer_methods_supported": []}), "`Authorization`"),
        (
            json!({"bearer_methods_supported": ["query"]}),
            "`Authorization`",
        ),
        (json!({"scopes_supported": ["a\"b"]}), "scopes"),
        (json!({"scopes_supported": ["a b"]}), "scopes"),
        (json!({"scopes_supported": ["a".repeat(5000)]}), "scopes"),
    ] {
        let resource = Resource::new(r#"resource_metadata="$/doc""#);
        resource.describe("/doc", &members);
        let error = resource.discover().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{members}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn r1_a_resource_cannot_send_the_program_into_another_network() {
    for named in [
        "https://169.254.169.254/latest",
        "https://10.0.0.1/doc",
        "https://[fd00::1]/doc",
        "https://192.168.0.1:8443/doc",
    ] {
        let resource = Resource::new(&format!(r#"resource_metadata="{named}""#));
        let error = resource.discover().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Origin, "{named}: {error}");

        let resource = Resource::new(r#"resource_metadata="$/doc""#);
        resource.describe("/doc", &json!({"authorization_servers": [named]}));
        let error = resource.authorization_server().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Origin, "{named}: {error}");
    }
}

#[tokio::test]
async fn r1_what_a_resource_names_is_https_or_on_this_machine() {
    for (named, kind) in [
        ("http://other.example/doc", ErrorKind::Origin),
        ("ftp://other.example/doc", ErrorKind::Input),
        ("file:///etc/passwd", ErrorKind::Input),
        ("/doc", ErrorKind::Input),
    ] {
        let resource = Resource::new(&format!(r#"resource_metadata="{named}""#));
        assert_eq!(resource.discover().await.unwrap_err().kind(), kind);
    }
    let plain = ProtectedResource::discover("http://mcp.example.com/").await;
    assert_eq!(plain.unwrap_err().kind(), ErrorKind::Origin);
}

#[tokio::test]
async fn a_wrong_url_of_a_resource_is_for_its_server_to_correct() {
    let profile = "write a profile with the issuer that it accepts";
    let resource = Resource::new(r#"resource_metadata="/somewhere""#);
    let challenge = resource.discover().await.unwrap_err();
    let resource = Resource::new(r#"resource_metadata="$/somewhere""#);
    resource.describe("/somewhere", &json!({"authorization_servers": ["/issuer"]}));
    let issuer = resource.authorization_server().await.unwrap_err();
    for error in [challenge, issuer] {
        assert_eq!(error.kind(), ErrorKind::Input);
        let text = error.to_string();
        assert!(text.contains("its URL is not absolute"), "{text}");
        assert!(text.ends_with(profile), "{text}");
    }
}

#[tokio::test]
async fn no_redirect_is_followed_and_no_response_is_read_without_end() {
    let elsewhere = Server::start();
    let resource = Resource::new(r#"resource_metadata="$/doc""#);
    let redirect = ScriptedResponse::redirect(302, &elsewhere.url_for("/doc"));
    resource.0.expect(Expect::get("/doc").always(redirect));
    let error = resource.discover().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(elsewhere.calls(), 0);

    let resource = Resource::new(r#"resource_metadata="$/doc""#);
    let long = ScriptedResponse::stream(64 * 1024 * 1024);
    resource.0.expect(Expect::get("/doc").always(long));
    let error = resource.discover().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");

    // A resource that needs no token may respond with events that never end.
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: a\n\n";
    let endless = Server::start();
    endless.expect(Expect::get("/").always(ScriptedResponse::raw_then_hang(stream)));
    endless.expect(Expect::get(DOCUMENT).always(ScriptedResponse::status(404)));
    let discovery = ProtectedResource::builder(endless.url());
    let discovery = discovery.timeout(Duration::from_secs(600)).discover();
    let found = timeout(Duration::from_secs(60), discovery).await;
    assert!(found.expect("it reads the head alone").is_err());
}

#[tokio::test]
async fn over_tls_every_server_is_trusted_by_the_given_authority_alone() {
    let authority = TestAuthority::new();
    let port = Arc::new(OnceLock::new());
    let known = Arc::clone(&port);
    let certificate = authority.issue(Leaf::default().name("localhost"));
    let server = TlsServer::builder(&authority)
        .certificate(certificate)
        .start(move |request: &TlsRequest| {
            let here = format!("https://localhost:{}", known.get().expect("it was set"));
            match request.line.as_str() {
                "GET /.well-known/oauth-protected-resource/mcp" => (
                    200,
                    json!({"resource": format!("{here}/mcp"), "authorization_servers": [here]}),
                ),
                "GET /.well-known/oauth-authorization-server" => (
                    200,
                    json!({
                        "issuer": here,
                        "authorization_endpoint": format!("{here}/authorize"),
                        "token_endpoint": format!("{here}/token"),
                        "code_challenge_methods_supported": ["S256"],
                    }),
                ),
                _ => (401, json!({})),
            }
        });
    port.set(server.address().port()).unwrap();
    let url = format!("https://localhost:{}/mcp", server.address().port());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let discovery = ProtectedResource::builder(&url).ca_file(file);
    let resource = discovery.discover().await.unwrap();
    let issuer = &resource.authorization_servers()[0];
    assert!(resource.authorization_server(issuer).await.is_ok());

    let untrusted = ProtectedResource::discover(url).await.unwrap_err();
    assert_eq!(untrusted.kind(), ErrorKind::Unavailable, "{untrusted}");
}

#[tokio::test]
async fn a_server_that_hangs_is_left_after_the_timeout() {
    let resource = Resource::new(r#"resource_metadata="$/doc""#);
    let hang = ScriptedResponse::hang();
    resource.0.expect(Expect::get("/doc").always(hang));
    let discovery = ProtectedResource::builder(resource.url()).timeout(Duration::from_millis(200));
    assert!(discovery.discover().await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn only_an_issuer_that_the_resource_names_is_asked() {
    let resource = Resource::new(r#"resource_metadata="$/doc""#);
    resource.describe("/doc", &json!({})).serve(&json!({}));
    let found = resource.discover().await.unwrap();
    let asked = resource.0.calls();
    let error = found
        .authorization_server("https://evil.example")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert_eq!(resource.0.calls(), asked);
}

#[tokio::test]
async fn a_server_that_no_person_can_sign_in_at_safely_is_refused() {
    for (members, kind, words) in [
        (
            json!({"issuer": "https://evil.example"}),
            ErrorKind::Refused,
            "another issuer",
        ),
        (
            json!({"code_challenge_methods_supported": null}),
            ErrorKind::Input,
            "PKCE",
        ),
        (
            json!({"code_challenge_methods_supported": ["plain"]}),
            ErrorKind::Input,
            "PKCE",
        ),
        (
            json!({"authorization_endpoint": null}),
            ErrorKind::Input,
            "signs in",
        ),
        (
            json!({"authorization_endpoint": "javascript:alert(1)"}),
            ErrorKind::Input,
            "signs in",
        ),
        (
            json!({"authorization_endpoint": "file:///etc/passwd"}),
            ErrorKind::Input,
            "signs in",
        ),
        (
            json!({"authorization_endpoint": "http://login.example.com/authorize"}),
            ErrorKind::Input,
            "signs in",
        ),
        (
            json!({"authorization_endpoint": "https://192.168.0.1/reboot"}),
            ErrorKind::Origin,
            "another network",
        ),
        (
            json!({"token_endpoint": "https://169.254.169.254/token"}),
            ErrorKind::Origin,
            "another network",
        ),
        (
            json!({"revocation_endpoint": "https://10.0.0.1/revoke"}),
            ErrorKind::Origin,
            "another network",
        ),
    ] {
        let resource = Resource::new(r#"resource_metadata="$/doc""#);
        resource.describe("/doc", &json!({})).serve(&members);
        let openid = ScriptedResponse::status(404);
        let openid = Expect::get("/.well-known/openid-configuration").always(openid);
        resource.0.expect(openid);
        let error = resource.authorization_server().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{members}: {error}");
        assert!(error.to_string().contains(words), "{members}: {error}");
    }
}
