//! A Kubernetes cluster: the token files of a pod, and an API server that accepts such tokens.
//!
//! The cluster signs a JWT for a service account, with the audience that the pod asked for. The kubelet writes it to a file and
//! replaces the file before the token expires: `token` is a link to `..data/token`, and `..data` is a link to a directory, so
//! that a reader never sees a half-written file. The files are readable for all users of the pod.
//!
//! The API server accepts a token with its own audience until it expires, and otherwise responds with 401 and a `Status` object.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fs, io};

use serde_json::json;

use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::jwt::{JwtRules, ReadJwt};
use crate::platforms::key::PlatformKey;
use crate::platforms::refusal::Refusal;
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// A Kubernetes cluster with one service account.
///
/// ```
/// use keyfob_testkit::platforms::{Kubernetes, ReadJwt};
///
/// let kubernetes = Kubernetes::start();
/// let token = kubernetes.token("vault");
/// assert_eq!(ReadJwt::read(&token).unwrap().audiences(), ["vault"]);
/// ```
#[derive(Debug)]
pub struct Kubernetes {
    clock: FakeClock,
    key: PlatformKey,
    issued: AtomicU64,
}

starts!(Kubernetes);

impl Kubernetes {
    /// `iss` of the tokens, which is also the audience of the API server.
    pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

    /// `sub` of the tokens.
    pub const SUBJECT: &str = "system:serviceaccount:shop:checkout";

    /// How long a token lives.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

    fn new(clock: &FakeClock) -> Self {
        Self {
            clock: clock.clone(),
            key: PlatformKey::rsa("cluster-key"),
            issued: AtomicU64::new(0),
        }
    }

    /// The key that signs the tokens.
    #[must_use]
    pub fn key(&self) -> &PlatformKey {
        &self.key
    }

    /// Issues a token for this audience.
    #[must_use]
    pub fn token(&self, audience: &str) -> String {
        let number = self.issued.fetch_add(1, Ordering::Relaxed) + 1;
        let now = self.clock.unix_seconds();
        let claims = json!({
            "iss": Self::ISSUER,
            "sub": Self::SUBJECT,
            "aud": [audience],
            "iat": now,
            "nbf": now,
            "exp": now.saturating_add_unsigned(Self::TOKEN_LIFETIME.as_secs()),
            "jti": format!("token-{number}"),
            "kubernetes.io": {
                "namespace": "shop",
                "serviceaccount": {"name": "checkout", "uid": "0123"},
            },
        });
        // The API server writes no `typ`.
        self.key.sign(&json!({"typ": null}), &claims)
    }

    /// Writes a new token for this audience into a folder, as the kubelet does, and returns the path of the token file.
    ///
    /// If the folder has a token already, it is replaced in one step.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written.
    #[cfg(unix)]
    pub fn project(&self, folder: &Path, audience: &str) -> io::Result<PathBuf> {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let token = self.token(audience);
        let number = self.issued.load(Ordering::Relaxed);
        let (data, next) = (folder.join("..data"), folder.join("..data_tmp"));
        let version = format!("..version_{number}");
        fs::create_dir_all(folder.join(&version))?;
        let file = folder.join(&version).join("token");
        fs::write(&file, token)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
        let old = fs::read_link(&data).ok();
        symlink(&version, &next)?;
        fs::rename(&next, &data)?;
        let path = folder.join("token");
        match old {
            Some(old) => fs::remove_dir_all(folder.join(old))?,
            None => symlink("..data/token", &path)?,
        }
        Ok(path)
    }
}

impl Platform for Kubernetes {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        let refused = |reason: String| {
            let response = status(401, "Unauthorized", "Unauthorized");
            Refusal::new(reason, response)
        };
        let token = request.bearer().unwrap_or_default();
        let jwt = ReadJwt::read(token).ok_or_else(|| refused("there is no JWT".to_owned()))?;
        let rules = JwtRules::new(&["RS256"])
            .issuer(Self::ISSUER)
            .audience(Self::ISSUER);
        let checked = rules.check(&jwt, &self.key, &self.clock);
        checked.map_err(|fault| refused(fault.to_string()))?;
        if !request.path.starts_with("/api") {
            let response = status(404, "NotFound", "the server could not find the resource");
            return Err(Refusal::new("the path is unknown", response));
        }
        Ok(ScriptedResponse::json(
            json!({"kind": "List", "apiVersion": "v1", "items": []}),
        ))
    }

    fn throttled(&self, retry_after: u64) -> ScriptedResponse {
        status(
            429,
            "TooManyRequests",
            "too many requests, please try again later",
        )
        .header("retry-after", &retry_after.to_string())
    }

    fn outage(&self) -> ScriptedResponse {
        status(
            503,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        )
    }
}

fn status(code: u16, reason: &str, message: &str) -> ScriptedResponse {
    ScriptedResponse::json(json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }))
    .with_status(code)
}
