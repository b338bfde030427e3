//! A token as other programs read it. `keyfob token --format` and the helpers write each format here.

use std::env;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use keyfob::Token;
use keyfob::cache::Lease;
use serde_json::{Value, json};

use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;

/// A token, and the time at which it expires.
pub(crate) struct Credential {
    token: Token,
    headers: Vec<(String, String)>,
    expires_at: Option<SystemTime>,
    now: SystemTime,
}

impl Credential {
    /// Token and expiry are those of one lease, because the cache may renew the token meanwhile.
    pub(crate) fn of_lease(lease: &Lease) -> Self {
        Self::of(lease.token().clone(), lease.expires_at(), SystemTime::now())
    }

    fn of(token: Token, expires_at: Option<SystemTime>, now: SystemTime) -> Self {
        let headers = token
            .headers()
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect();
        Self {
            token,
            headers,
            expires_at,
            now,
        }
    }

    /// The text of the token, without a scheme.
    pub(crate) fn text(&self) -> &str {
        self.token.expose()
    }

    /// The complete value of `Authorization`, if the credential is that alone.
    pub(crate) fn authorization(&self) -> Option<&str> {
        match self.headers.as_slice() {
            [(name, value)] if name == AUTHORIZATION.as_str() => Some(value),
            _ => None,
        }
    }

    /// User and password, if the credential is those (RFC 7617).
    pub(crate) fn basic(&self) -> Option<(String, String)> {
        let scheme = self.scheme()?;
        let text = scheme.eq_ignore_ascii_case("basic").then(|| self.text())?;
        let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }

    /// The text of a bearer token, for a program that sends no other credential.
    pub(crate) fn bearer(&self, program: &str) -> Result<&str, CliError> {
        match self.scheme() {
            Some(scheme) if scheme.eq_ignore_ascii_case("bearer") => Ok(self.text()),
            _ => Err(CliError::usage(format!(
                "{program} can send only a bearer token in `Authorization`, and this credential is a different one"
            ))),
        }
    }

    /// The scheme, if the credential is this token alone in `Authorization`.
    pub(crate) fn scheme(&self) -> Option<&str> {
        let [(name, value)] = self.headers.as_slice() else {
            return None;
        };
        let scheme = value.strip_suffix(self.token.expose())?.strip_suffix(' ')?;
        (name == AUTHORIZATION.as_str()).then_some(scheme)
    }

    pub(crate) fn json(&self) -> Result<Value, CliError> {
        let scheme = self
            .scheme()
            .ok_or_else(|| unfit("json", "a token in `Authorization`"))?;
        let mut response = json!({
            "access_token": self.token.expose(),
            "token_type": scheme,
        });
        if let Some(end) = self.expires_at {
            let left = end.duration_since(self.now).unwrap_or_default();
            response["expires_in"] = json!(left.as_secs());
        }
        Ok(response)
    }

    pub(crate) fn header_lines(&self) -> Result<String, CliError> {
        let lines = self.all_headers()?.iter();
        let lines: Vec<_> = lines
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        Ok(lines.join("\n"))
    }

    pub(crate) fn bazel(&self) -> Result<Value, CliError> {
        let mut headers = serde_json::Map::new();
        for (name, value) in self.all_headers()? {
            let name = if name == AUTHORIZATION.as_str() {
                "Authorization"
            } else {
                name
            };
            headers.insert(name.to_owned(), json!([value]));
        }
        let mut output = json!({ "headers": headers });
        if let Some(time) = self.expiry()? {
            output["expires"] = json!(time);
        }
        Ok(output)
    }

    pub(crate) fn k8s(&self, api_version: &str) -> Result<Value, CliError> {
        let mut status = json!({ "token": self.bearer("kubectl")? });
        if let Some(time) = self.expiry()? {
            status["expirationTimestamp"] = json!(time);
        }
        Ok(json!({ "apiVersion": api_version, "kind": "ExecCredential", "status": status }))
    }

    fn all_headers(&self) -> Result<&[(String, String)], CliError> {
        if self.headers.len() == self.token.headers().len() {
            return Ok(&self.headers);
        }
        Err(CliError::new(
            ExitCode::NoToken,
            "the credential has a header that is not text, so it cannot be printed",
        ))
    }

    /// The expiry in seconds since 1970.
    pub(crate) fn expiry_in_unix_time(&self) -> Option<u64> {
        let since = self.expires_at?.duration_since(SystemTime::UNIX_EPOCH);
        Some(since.unwrap_or_default().as_secs())
    }

    /// The expiry as RFC 3339 text, in whole seconds because some programs accept no fraction.
    fn expiry(&self) -> Result<Option<String>, CliError> {
        let Some(seconds) = self.expiry_in_unix_time() else {
            return Ok(None);
        };
        let time = i64::try_from(seconds).ok();
        let time = time.and_then(|seconds| Timestamp::from_second(seconds).ok());
        time.map(|time| Some(time.to_string())).ok_or_else(|| {
            CliError::new(
                ExitCode::NoToken,
                "the token's expiry is too far in the future to be printed",
            )
        })
    }
}

fn unfit(format: &str, wanted: &str) -> CliError {
    CliError::usage(format!(
        "the format `{format}` can hold only {wanted}, and this credential is a different one; use `header` or `bazel`"
    ))
}

/// The API version that Kubernetes requests in `KUBERNETES_EXEC_INFO`.
pub(crate) fn requested_api_version() -> Result<&'static str, CliError> {
    let Some(request) = exec_info() else {
        return Ok(NEWEST);
    };
    let version = request["apiVersion"].as_str();
    let found = API_VERSIONS
        .into_iter()
        .find(|known| Some(*known) == version);
    found.ok_or_else(|| {
        CliError::usage(format!(
            "KUBERNETES_EXEC_INFO requests an unknown version; set apiVersion to {NEWEST} in the kubeconfig"
        ))
    })
}

/// The URL of the cluster in `KUBERNETES_EXEC_INFO`, which is there if the kubeconfig has `provideClusterInfo: true`.
pub(crate) fn requested_server() -> Option<String> {
    let request = exec_info()?;
    let server = request["spec"]["cluster"]["server"].as_str()?;
    Some(server.to_owned())
}

/// What Kubernetes requests; null if that is no JSON.
fn exec_info() -> Option<Value> {
    let text = env::var_os("KUBERNETES_EXEC_INFO")?;
    let request = text
        .to_str()
        .and_then(|text| serde_json::from_str(text).ok());
    Some(request.unwrap_or_default())
}

const NEWEST: &str = "client.authentication.k8s.io/v1";
const API_VERSIONS: [&str; 2] = [NEWEST, "client.authentication.k8s.io/v1beta1"];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn credential(token: Token) -> Credential {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_044_900);
        Credential::of(token, Some(now + Duration::from_secs(1)), now)
    }

    #[test]
    fn a_bearer_token_fits_every_format() {
        let credential = credential(Token::new("abc").unwrap());
        assert_eq!(
            credential.header_lines().unwrap(),
            "authorization: Bearer abc"
        );
        assert_eq!(
            credential.json().unwrap(),
            json!({"access_token": "abc", "token_type": "Bearer", "expires_in": 1})
        );
        assert_eq!(
            credential.bazel().unwrap(),
            json!({"headers": {"Authorization": ["Bearer abc"]}, "expires": "2026-01-02T03:04:05Z"})
        );
        assert_eq!(
            credential.k8s(NEWEST).unwrap(),
            json!({
                "apiVersion": NEWEST,
                "kind": "ExecCredential",
                "status": {"token": "abc", "expirationTimestamp": "2026-01-02T03:04:05Z"},
            })
        );
    }

    #[test]
    fn a_token_of_another_scheme_is_not_printed_as_a_bearer_token() {
        let credential = credential(Token::new("abc").unwrap().scheme("Basic").unwrap());
        assert_eq!(credential.json().unwrap()["token_type"], "Basic");
        assert_eq!(credential.k8s(NEWEST).unwrap_err().exit(), ExitCode::Usage);
    }

    #[test]
    fn a_key_in_its_own_header_is_not_printed_as_a_token() {
        let name = http::HeaderName::from_static("x-api-key");
        let credential = credential(Token::new("abc").unwrap().header_name(name));
        assert_eq!(credential.json().unwrap_err().exit(), ExitCode::Usage);
        assert_eq!(credential.header_lines().unwrap(), "x-api-key: abc");
    }
}
