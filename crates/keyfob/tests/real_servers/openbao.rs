//! Tokens of OpenBao, and the fake of Vault compared with it.

use keyfob::http::Method;
use keyfob_testkit::json;
use keyfob_testkit::platforms::Vault;
use serde_json::Value;

use crate::openbao_server::{OpenBao, Responded, send};

/// The role id and the secret id of each server, and its URL.
struct Side {
    url: String,
    role: String,
    secret: String,
}

impl Side {
    async fn log_in(&self, body: Value) -> Responded {
        let url = format!("{}{}", self.url, Vault::APPROLE_PATH);
        send(Method::POST, &url, "", Some(body)).await
    }

    /// What a client can see of each kind of request, in a form in which two servers can be compared.
    async fn responses(&self) -> Vec<String> {
        let good = json!({"role_id": self.role, "secret_id": self.secret});
        let (status, body) = self.log_in(good).await;
        let token = body["auth"]["client_token"].as_str().unwrap().to_owned();
        let mut seen = vec![described(&(status, body))];
        for body in [
            json!({"role_id": self.role, "secret_id": "wrong"}),
            json!({"role_id": "wrong", "secret_id": self.secret}),
            json!({"role_id": self.role}),
            json!({}),
        ] {
            seen.push(described(&self.log_in(body).await));
        }
        for (method, path, token) in [
            (Method::POST, "/v1/auth/other/login", ""),
            (Method::POST, Vault::RENEW_PATH, token.as_str()),
            (Method::POST, Vault::RENEW_PATH, "wrong"),
            (Method::GET, Vault::SECRET_PATH, token.as_str()),
            (Method::GET, Vault::SECRET_PATH, "wrong"),
        ] {
            let body = (method == Method::POST).then(|| json!({}));
            let url = format!("{}{path}", self.url);
            seen.push(described(&send(method, &url, token, body).await));
        }
        seen
    }
}

fn described((status, body): &Responded) -> String {
    let auth = &body["auth"];
    format!(
        "{status} errors={} lease={} renewable={} type={} data={}",
        body["errors"],
        auth["lease_duration"],
        auth["renewable"],
        auth["token_type"],
        body["data"]["data"]
    )
}

#[tokio::test]
async fn the_fake_of_vault_responds_as_openbao_does() {
    let (server, fake) = (OpenBao::start().await, Vault::start());
    let (role, secret) = server.approle(600, 1500).await;
    fake.set_lifetimes(
        std::time::Duration::from_secs(600),
        std::time::Duration::from_secs(1500),
    );
    let real = Side {
        url: server.url_for(""),
        role,
        secret,
    };
    let fake = Side {
        url: fake.url(),
        role: Vault::ROLE_ID.to_owned(),
        secret: Vault::SECRET_ID.to_owned(),
    };
    assert_eq!(real.responses().await, fake.responses().await);
}
