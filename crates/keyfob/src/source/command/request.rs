//! What a helper is asked, in the words of its own protocol.

use std::ffi::OsString;

use serde_json::json;
use url::Url;

use crate::error::error::Error;

/// What a helper is told about the credential that is wanted.
///
/// It only says how the helper is asked; the format of the answer is recognised by itself. Name the helper's own
/// program, such as `docker-credential-pass` or `git-credential-libsecret`: the arguments that its protocol asks for,
/// such as `get`, are appended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HelperRequest {
    /// Nothing; its standard input is empty. For `gh auth token`, `gcloud`, `az` and scripts.
    #[default]
    None,
    /// As EngFlow's and Bazel's credential helpers are asked: `get`, and JSON on standard input.
    Bazel {
        /// The URL that the credential is for.
        uri: String,
    },
    /// As git's credential helpers are asked: `get`, and `name=value` lines on standard input.
    Git {
        /// The URL that the credential is for.
        url: String,
    },
    /// As Docker's credential helpers are asked: `get`, and the server on standard input.
    Docker {
        /// The server as it was given to `docker login`.
        server: String,
    },
    /// As Cargo's credential providers are asked: `--cargo-plugin`, and JSON on standard input.
    Cargo {
        /// The registry's index URL, such as `sparse+https://example.com/index/`.
        index: String,
    },
    /// As Terraform's credentials helpers are asked: `get` and the host as arguments.
    Terraform {
        /// The host name.
        host: String,
    },
    /// As Kubernetes' exec plugins are asked: JSON in the environment variable `KUBERNETES_EXEC_INFO`.
    Kubernetes {
        /// The URL of the cluster's API server.
        server: String,
    },
}

/// A request as the helper gets it.
#[derive(Clone, Default)]
pub(super) struct Spelled {
    pub(super) arguments: Vec<OsString>,
    pub(super) stdin: Option<Vec<u8>>,
    pub(super) environment: Option<(OsString, OsString)>,
}

impl HelperRequest {
    pub(super) fn spell(&self) -> Result<Spelled, Error> {
        let spelled = match self {
            Self::None => Spelled::default(),
            Self::Bazel { uri } => {
                let uri = url(uri)?;
                Spelled::get(json!({ "uri": uri.as_str() }).to_string())
            }
            Self::Git { url: asked } => Spelled::get(git_lines(&url(asked)?)),
            Self::Docker { server } => Spelled::get(plain(server)?.to_owned()),
            Self::Cargo { index } => Spelled::cargo(plain(index)?),
            Self::Terraform { host } => Spelled {
                arguments: vec!["get".into(), plain(host)?.into()],
                ..Spelled::default()
            },
            Self::Kubernetes { server } => Spelled::kubernetes(&url(server)?),
        };
        if spelled
            .stdin
            .as_ref()
            .is_some_and(|stdin| stdin.len() > LONGEST)
        {
            return Err(Error::input(
                "the request to the helper is longer than 4096 bytes; leave the query out of the URL",
            ));
        }
        Ok(spelled)
    }
}

impl Spelled {
    fn get(stdin: String) -> Self {
        Self {
            arguments: vec!["get".into()],
            stdin: Some(stdin.into_bytes()),
            environment: None,
        }
    }

    /// The provider greets first, but the answer to its greeting is always the same, and may lie ready.
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
            stdin: Some(format!("{question}\n").into_bytes()),
            environment: None,
        }
    }

    fn kubernetes(server: &Url) -> Self {
        let information = json!({
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "spec": { "cluster": { "server": server.as_str() }, "interactive": false },
        });
        Self {
            environment: Some((
                "KUBERNETES_EXEC_INFO".into(),
                information.to_string().into(),
            )),
            ..Self::default()
        }
    }
}

/// A parsed URL has no line ends, so that no line can be smuggled into git's protocol (CVE-2020-5260).
fn git_lines(url: &Url) -> String {
    let mut lines = format!(
        "capability[]=authtype\nprotocol={}\nhost={}",
        url.scheme(),
        url.host_str().unwrap_or_default()
    );
    if let Some(port) = url.port() {
        lines.push_str(&format!(":{port}"));
    }
    lines.push('\n');
    let path = url.path().trim_start_matches('/');
    if !path.is_empty() {
        lines.push_str(&format!("path={path}\n"));
    }
    lines.push('\n');
    lines
}

/// The URL without user information and fragment, which are nothing to a helper.
fn url(text: &str) -> Result<Url, Error> {
    let unusable = || {
        Error::input("the URL for the helper has no host; give one such as https://example.com/")
    };
    let mut url = Url::parse(text).map_err(|_| unusable())?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(unusable());
    }
    // Neither fails for a URL that has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    Ok(url)
}

/// Text that can be neither taken for an option nor for two lines.
fn plain(text: &str) -> Result<&str, Error> {
    let odd = |char: char| char.is_control() || char.is_whitespace();
    if text.is_empty() || text.starts_with('-') || text.contains(odd) {
        return Err(Error::input(
            "the name for the helper is empty, starts with `-`, or has white space or control characters inside",
        ));
    }
    Ok(text)
}

/// What every system's pipes hold, so that a request is written before the helper starts.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::error::ErrorKind;

    fn stdin(request: HelperRequest) -> String {
        String::from_utf8(request.spell().unwrap().stdin.unwrap()).unwrap()
    }

    #[test]
    fn nothing_is_asked_unless_the_caller_says_so() {
        let spelled = HelperRequest::default().spell().unwrap();
        assert!(spelled.arguments.is_empty());
        assert!(spelled.stdin.is_none() && spelled.environment.is_none());
    }

    #[test]
    fn requests_are_spelled_as_their_protocols_say() {
        let uri = "https://bob:pw@example.com:8443/a/b#c".to_owned();
        let bazel = HelperRequest::Bazel { uri: uri.clone() };
        assert_eq!(stdin(bazel), r#"{"uri":"https://example.com:8443/a/b"}"#);
        assert_eq!(
            stdin(HelperRequest::Git { url: uri }),
            "capability[]=authtype\nprotocol=https\nhost=example.com:8443\npath=a/b\n\n"
        );
        let server = "registry.example.com".to_owned();
        assert_eq!(
            stdin(HelperRequest::Docker { server }),
            "registry.example.com"
        );
    }

    #[test]
    fn s1_a_line_cannot_be_smuggled_into_a_request() {
        let lines = stdin(HelperRequest::Git {
            url: "https://example.com/a\nhost=evil.example".into(),
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
            ] {
                let error = request.spell().err().unwrap();
                assert_eq!(error.kind(), ErrorKind::Input, "{request:?}");
            }
        }
    }

    #[test]
    fn a_request_that_fills_the_pipe_is_refused() {
        let uri = format!("https://example.com/{}", "a".repeat(LONGEST));
        let error = HelperRequest::Bazel { uri }.spell().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Input);
    }
}
