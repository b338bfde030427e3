//! The request to a helper, in its own protocol.

use std::ffi::OsString;

use serde_json::json;
use url::{Position, Url};

use crate::error::error::Error;
use crate::token::token::Token;

/// The request to a credential helper, in the protocol that the helper speaks.
///
/// The format of the helper's output is detected, whatever the request is. The command names the helper's own program, such
/// as `docker-credential-pass` or `git-credential-libsecret`. The arguments of the protocol, such as `get`, are appended.
///
/// [`CommandToken`](crate::CommandToken) has an example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HelperRequest {
    /// No request: the standard input is empty. For `gh auth token`, `gcloud`, `az` and scripts.
    #[default]
    None,
    /// For credential helpers of Bazel and EngFlow: `get`, and JSON on standard input.
    Bazel {
        /// The URL that the credential is for.
        uri: String,
    },
    /// For credential helpers of git: `get`, and `name=value` lines on standard input.
    ///
    /// A helper that says nothing has no credential.
    Git {
        /// The URL that the credential is for.
        url: String,
        /// Whether the helper gets the path of the URL too, as git does with `credential.useHttpPath`. Most helpers store credentials
        /// without a path, and find none for a request with one.
        with_path: bool,
    },
    /// For credential helpers of Docker: `get`, and the server on standard input.
    Docker {
        /// The server, as given to `docker login`.
        server: String,
    },
    /// For credential providers of Cargo: `--cargo-plugin`, and JSON on standard input.
    Cargo {
        /// The registry's index URL, such as `sparse+https://example.com/index/`.
        index: String,
    },
    /// For credentials helpers of Terraform: `get` and the host as arguments.
    Terraform {
        /// The host name.
        host: String,
    },
    /// For exec plugins of Kubernetes: JSON in the environment variable `KUBERNETES_EXEC_INFO`.
    Kubernetes {
        /// The URL of the cluster's API server.
        server: String,
    },
    /// For executables of Google's workload identity federation: the variables `GOOGLE_EXTERNAL_ACCOUNT_…`.
    ///
    /// The token is the ID token that the executable gives, which a token exchange takes as its subject.
    Google {
        /// The audience of the workload identity pool.
        audience: String,
    },
    /// For the password manager `pass`: `show` and the name of an entry. The token is the first line, as `pass` has it.
    Pass {
        /// The name of the entry.
        entry: String,
    },
}

/// What the helper gets: arguments, standard input and environment variables.
#[derive(Clone, Default)]
pub(super) struct HelperInput {
    pub(super) arguments: Vec<OsString>,
    pub(super) stdin: Option<Vec<u8>>,
    pub(super) environment: Vec<(OsString, OsString)>,
}

impl HelperRequest {
    pub(super) fn to_input(&self) -> Result<HelperInput, Error> {
        let input = match self {
            Self::None => HelperInput::default(),
            Self::Bazel { uri } => {
                let uri = url(uri)?;
                HelperInput::get(json!({ "uri": uri.as_str() }).to_string())
            }
            Self::Git {
                url: asked,
                with_path,
            } => HelperInput::get(git_lines(&url(asked)?, *with_path) + "\n"),
            Self::Docker { server } => HelperInput::get(plain(server)?.to_owned()),
            Self::Cargo { index } => HelperInput::cargo(plain(index)?),
            Self::Terraform { host } => HelperInput {
                arguments: vec!["get".into(), plain(host)?.into()],
                ..HelperInput::default()
            },
            Self::Kubernetes { server } => HelperInput::kubernetes(&url(server)?),
            Self::Google { audience } => HelperInput::google(plain(audience)?),
            Self::Pass { entry } => HelperInput {
                arguments: vec!["show".into(), entry_name(entry)?.into()],
                ..HelperInput::default()
            },
        };
        if input.stdin.as_ref().map_or(0, Vec::len) > MAX_LENGTH {
            return Err(Error::input(
                "the request to the helper is longer than 4096 bytes; leave the query out of the URL",
            ));
        }
        Ok(input)
    }
}

impl HelperInput {
    fn get(stdin: String) -> Self {
        Self {
            arguments: vec!["get".into()],
            stdin: Some(stdin.into_bytes()),
            environment: Vec::new(),
        }
    }

    /// The provider prints a greeting first. The response to it is always the same, so it can be written in advance.
    fn cargo(index: &str) -> Self {
        let question = json!({
            "v": 1,
            "kind": "get",
            "operation": "read",
            "registry": { "index-url": index },
            "args": [],
        });
        Self {
            arguments: vec!["--cargo-plugin".into()],
            ..Self::get(format!("{question}\n"))
        }
    }

    fn kubernetes(server: &Url) -> Self {
        let information = json!({
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "spec": { "cluster": { "server": server.as_str() }, "interactive": false },
        });
        Self {
            environment: vec![(
                "KUBERNETES_EXEC_INFO".into(),
                information.to_string().into(),
            )],
            ..Self::default()
        }
    }

    /// <https://google.aip.dev/auth/4117>
    fn google(audience: &str) -> Self {
        let variables = [
            ("AUDIENCE", audience),
            ("TOKEN_TYPE", "urn:ietf:params:oauth:token-type:jwt"),
            // Nobody is asked.
            ("INTERACTIVE", "0"),
        ];
        let environment = variables.map(|(name, value)| {
            (
                format!("GOOGLE_EXTERNAL_ACCOUNT_{name}").into(),
                value.into(),
            )
        });
        Self {
            environment: environment.into(),
            ..Self::default()
        }
    }
}

/// What tells a helper of git that its credential was rejected: once as a password, and once as the credential of a scheme.
///
/// Which of the two the helper gave is not known any more. It removes nothing for the other one.
pub(super) fn git_erasures(
    asked: &str,
    with_path: bool,
    rejected: &Token,
) -> Result<[HelperInput; 2], Error> {
    let url = url(asked)?;
    let token = rejected.expose();
    let headers = rejected.headers();
    let header = headers.first().and_then(|(_, value)| value.to_str().ok());
    let scheme = header.and_then(|value| value.split(' ').next());
    let scheme = scheme.unwrap_or_default();
    let erasure = |credential: String| HelperInput {
        arguments: vec!["erase".into()],
        stdin: Some(format!("{}{credential}\n", git_lines(&url, with_path)).into_bytes()),
        environment: Vec::new(),
    };
    Ok([
        erasure(format!("password={token}\n")),
        erasure(format!("authtype={scheme}\ncredential={token}\n")),
    ])
}

/// A parsed URL has no line ends, so that it cannot add a line to git's protocol (CVE-2020-5260).
fn git_lines(url: &Url, with_path: bool) -> String {
    let (scheme, host) = (
        url.scheme(),
        &url[Position::BeforeHost..Position::AfterPort],
    );
    let mut lines = format!("capability[]=authtype\nprotocol={scheme}\nhost={host}\n");
    let path = url.path().trim_start_matches('/');
    if with_path && !path.is_empty() {
        lines += &format!("path={path}\n");
    }
    lines
}

/// The URL without user information and fragment, which a helper does not need.
fn url(text: &str) -> Result<Url, Error> {
    let unusable = || {
        Error::input("the URL for the helper has no host; give one such as https://example.com/")
    };
    let mut url = Url::parse(text).map_err(|_| unusable())?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(unusable());
    }
    // Neither can fail for a URL that has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    Ok(url)
}

/// Checks text that must not be taken for an option, and must not span two lines.
fn plain(text: &str) -> Result<&str, Error> {
    let odd = |char: char| char.is_control() || char.is_whitespace();
    if text.is_empty() || text.starts_with('-') || text.contains(odd) {
        return Err(Error::input(
            "the name for the helper is empty, starts with `-`, or contains white space or control characters",
        ));
    }
    Ok(text)
}

/// The name of an entry, in which spaces are common.
fn entry_name(text: &str) -> Result<&str, Error> {
    if text.is_empty() || text.starts_with('-') || text.contains(char::is_control) {
        return Err(Error::input(
            "the name of the entry is empty, starts with `-`, or contains control characters",
        ));
    }
    Ok(text)
}

/// Every system's pipes hold this many bytes, so that the request can be written before the helper starts.
const MAX_LENGTH: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::error::ErrorKind;

    fn stdin(request: HelperRequest) -> String {
        String::from_utf8(request.to_input().unwrap().stdin.unwrap()).unwrap()
    }

    #[test]
    fn by_default_there_is_no_request() {
        let input = HelperRequest::default().to_input().unwrap();
        assert!(input.arguments.is_empty());
        assert!(input.stdin.is_none() && input.environment.is_empty());
    }

    #[test]
    fn requests_follow_their_protocols() {
        let uri = "https://bob:pw@example.com:8443/a/b#c".to_owned();
        let bazel = HelperRequest::Bazel { uri: uri.clone() };
        assert_eq!(stdin(bazel), r#"{"uri":"https://example.com:8443/a/b"}"#);
        let git = |with_path| {
            let url = uri.clone();
            stdin(HelperRequest::Git { url, with_path })
        };
        let server = "capability[]=authtype\nprotocol=https\nhost=example.com:8443\n";
        assert_eq!(git(false), format!("{server}\n"));
        assert_eq!(git(true), format!("{server}path=a/b\n\n"));
        let server = "registry.example.com".to_owned();
        assert_eq!(
            stdin(HelperRequest::Docker { server }),
            "registry.example.com"
        );
    }

    #[test]
    fn s1_no_line_can_be_added_to_a_request() {
        let lines = stdin(HelperRequest::Git {
            url: "https://example.com/a\nhost=evil.example".into(),
            with_path: true,
        });
        assert_eq!(
            lines
                .lines()
                .filter(|line| line.starts_with("host="))
                .count(),
            1
        );
        for text in ["", "a\nb", "a b", "--version", "a\0"] {
            let text = text.to_owned();
            for request in [
                HelperRequest::Docker {
                    server: text.clone(),
                },
                HelperRequest::Terraform { host: text.clone() },
                HelperRequest::Cargo {
                    index: text.clone(),
                },
                HelperRequest::Bazel { uri: text.clone() },
                HelperRequest::Google {
                    audience: text.clone(),
                },
            ] {
                let error = request.to_input().err().unwrap();
                assert_eq!(error.kind(), ErrorKind::Input, "{request:?}");
            }
        }
    }

    #[test]
    fn a_request_that_fills_the_pipe_is_refused() {
        let uri = format!("https://example.com/{}", "a".repeat(MAX_LENGTH));
        let error = HelperRequest::Bazel { uri }.to_input().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Input);
    }
}
