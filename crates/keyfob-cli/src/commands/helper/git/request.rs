//! What git writes to the standard input of a credential helper (git-credential(1)).

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};
use keyfob::exchange::{Challenges, StepUp};

use crate::commands::helper::choose::Server;
use crate::output::error::CliError;

/// The attributes of a request.
#[derive(Default)]
pub(super) struct GitRequest {
    pub(super) protocol: String,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) authtype: Option<String>,
    pub(super) credential: Option<String>,
    capabilities: Vec<String>,
    states: Vec<String>,
    challenges: HeaderMap,
}

impl GitRequest {
    /// Reads the lines up to the first empty one. Unknown attributes are ignored, as git demands.
    pub(super) fn read(text: &str) -> Result<Self, CliError> {
        // A line end within a value would begin another attribute, which a server could choose (CVE-2020-5260).
        if text.contains(['\0', '\r']) {
            return Err(CliError::usage(
                "the request has a control character, which git never writes; nothing is given",
            ));
        }
        let mut request = Self::default();
        for line in text.lines().take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once('=').ok_or_else(|| {
                CliError::usage("the request has a line that is not `name=value`")
            })?;
            request.set(name, value)?;
        }
        Ok(request)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), CliError> {
        let text = Some(value.to_owned()).filter(|value| !value.is_empty());
        match name {
            "protocol" => value.clone_into(&mut self.protocol),
            "host" => value.clone_into(&mut self.host),
            "path" => value.clone_into(&mut self.path),
            "username" => self.username = text,
            "password" => self.password = text,
            "authtype" => self.authtype = text,
            "credential" => self.credential = text,
            "url" => self.set_url(value)?,
            "capability[]" => add(&mut self.capabilities, value),
            "state[]" => add(&mut self.states, value),
            "wwwauth[]" if value.is_empty() => self.challenges.clear(),
            "wwwauth[]" => {
                // A field that no server can send says nothing.
                if let Ok(value) = HeaderValue::from_str(value) {
                    self.challenges.append(WWW_AUTHENTICATE, value);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The same as the attributes that the URL consists of.
    fn set_url(&mut self, text: &str) -> Result<(), CliError> {
        let unusable =
            || CliError::usage("the request has a `url` that cannot be used; nothing is given");
        let (protocol, rest) = text.split_once("://").ok_or_else(unusable)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        // git decodes a host. One that this changes, such as `a%0ahost=b`, is an attack.
        if host.contains('%') {
            return Err(unusable());
        }
        let user = user.map(|user| user.split_once(':').map_or(user, |(user, _)| user));
        self.username = user.map(str::to_owned);
        self.password = None;
        protocol.clone_into(&mut self.protocol);
        host.clone_into(&mut self.host);
        path.clone_into(&mut self.path);
        Ok(())
    }

    /// The server, if a credential of HTTP can be for it.
    pub(super) fn server(&self) -> Option<Server> {
        Server::of_parts(&self.protocol, &self.host, &self.path)
    }

    pub(super) fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|known| known == capability)
    }

    /// The value of our own state that begins with this.
    pub(super) fn state(&self, prefix: &str) -> Option<&str> {
        self.states
            .iter()
            .find_map(|state| state.strip_prefix(prefix))
    }

    /// The challenges of the response that git got.
    pub(super) fn challenges(&self) -> Challenges {
        Challenges::from_headers(&self.challenges)
    }

    /// What the server asks for, if another token of the same kind is of no use.
    pub(super) fn step_up(&self) -> Option<StepUp> {
        StepUp::from_response(StatusCode::UNAUTHORIZED, &self.challenges)
    }
}

/// Adds to a list; an empty value empties it.
fn add(list: &mut Vec<String>, value: &str) {
    match value.is_empty() {
        true => list.clear(),
        false => list.push(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> GitRequest {
        GitRequest::read(text).unwrap_or_else(|error| panic!("{:?}", error.message()))
    }

    fn server(text: &str) -> Option<String> {
        read(text).server().map(|server| server.url.to_string())
    }

    #[test]
    fn a_server_is_named_by_its_parts_or_by_a_url() {
        let parts = "protocol=https\nhost=a.example:8443\npath=x/y.git\n\nhost=b.example\n";
        assert_eq!(
            server(parts).as_deref(),
            Some("https://a.example:8443/x/y.git")
        );
        let url = "protocol=ssh\nurl=https://me:pw@a.example/x\n";
        assert_eq!(server(url).as_deref(), Some("https://a.example/x"));
        assert_eq!(read(url).username.as_deref(), Some("me"));
        for other in [
            "",
            "protocol=https\n",
            "host=a.example\n",
            "protocol=ssh\nhost=a.example\n",
        ] {
            assert_eq!(server(other), None, "{other:?}");
        }
    }

    #[test]
    fn s1_no_line_can_be_added_by_a_value() {
        for text in [
            "protocol=https\nhost=a.example\rhost=b\n",
            "protocol=https\nhost=a\0.example\n",
            "url=https://a.example%0ahost=b.example/\n",
            "url=a.example\n",
            "protocol\n",
        ] {
            assert!(GitRequest::read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_empty_value_empties_a_list() {
        let request = read("capability[]=authtype\ncapability[]=\nstate[]=keyfob:a\nstate[]=x:b\n");
        assert!(!request.can("authtype"));
        assert_eq!(request.state("keyfob:"), Some("a"));
    }
}
