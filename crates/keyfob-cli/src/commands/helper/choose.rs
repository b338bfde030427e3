//! Chooses the profile for the server that a host program names.

use clap::Args;
use keyfob::cache::Lease;
use keyfob::origin::Origins;
use keyfob::{Origin, Profile, TokenCache};
use url::{Host, Url};

use crate::credential::Credential;
use crate::options::profile::ProfileOption;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::renewal::{other_than, renewed, show_stored};

/// The options that every helper has.
#[derive(Args)]
pub(super) struct HelperOptions {
    #[command(flatten)]
    profile: ProfileOption,
}

/// A server that a host program asks about.
pub(super) struct Server {
    pub(super) origin: Origin,
    pub(super) url: Url,
}

impl Server {
    /// The server of a URL; `None` if no credential can be for it.
    pub(super) fn of_url(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let mut server = Self::of_parts(scheme, &rest[..end], "")?;
        server.url = Url::parse(text).ok()?;
        // A parser leaves line ends out.
        (!text.contains(char::is_control)).then_some(server)
    }

    /// The server of this host, which may have a port; `None` if no credential can be for it.
    ///
    /// The host program parses the text in its own way. A host that two parsers could read in two ways is none (R1).
    pub(super) fn of_parts(scheme: &str, authority: &str, path: &str) -> Option<Self> {
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok()?)),
            _ => (authority, None),
        };
        let origin = Origin::from_parts(scheme, host, port).ok()?;
        let mut url = Url::parse(&origin.to_string()).ok()?;
        url.set_path(path);
        Some(Self { origin, url })
    }

    /// The host name.
    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The same server over https.
    fn over_https(&self) -> Option<Self> {
        let authority = match self.url.port() {
            Some(port) => format!("{}:{port}", self.host()),
            None => self.host().to_owned(),
        };
        Self::of_parts("https", &authority, self.url.path())
    }

    /// Whether it is an address of this machine, which no name server can change.
    pub(super) fn is_loopback_address(&self) -> bool {
        self.origin.is_loopback() && !matches!(self.url.host(), Some(Host::Domain(_)))
    }
}

impl HelperOptions {
    /// The profile whose token the server may have; `None` if there is none, or it is not the one that the option names.
    ///
    /// The option narrows the choice, and gives no server a token of a profile that is not for it.
    pub(super) fn choose(&self, server: &Server) -> Result<Option<Chosen>, CliError> {
        if let Some(profile) = self.matching(server)? {
            return Chosen::new(profile, server).map(Some);
        }
        if !server.origin.is_https()
            && let Some(https) = server.over_https()
            && let Some(profile) = self.matching(&https)?
        {
            return Err(CliError::new(
                ExitCode::Origin,
                format!(
                    "plain http to {} would show the token of the profile {} to the network; use https",
                    server.origin,
                    profile.name()
                ),
            ));
        }
        Ok(None)
    }

    /// The profile for a URL that the user gave.
    pub(super) fn require(&self, url: &str) -> Result<(Server, Chosen), CliError> {
        let server = Server::of_url(url).ok_or_else(|| {
            CliError::usage(
                "the URL cannot be used; give it in full, such as https://api.example.com/reports",
            )
        })?;
        match self.choose(&server)? {
            Some(chosen) => Ok((server, chosen)),
            None => Err(CliError::new(
                ExitCode::Origin,
                format!(
                    "no profile is for {}, or not the one that --profile names; add it to the `origins` of a profile",
                    server.origin
                ),
            )),
        }
    }

    fn matching(&self, server: &Server) -> Result<Option<Profile>, CliError> {
        Ok(match self.profile.named(None)? {
            Some(profile) => {
                Some(profile).filter(|profile| profile.origins().contains(&server.origin))
            }
            None => self.profile.profiles()?.matching(&server.url)?.cloned(),
        })
    }

    /// Every profile that may be chosen.
    pub(super) fn profiles(&self) -> Result<Vec<Profile>, CliError> {
        Ok(match self.profile.named(None)? {
            Some(profile) => vec![profile],
            None => self.profile.profiles()?.iter().cloned().collect(),
        })
    }
}

/// The profile for a server, and its tokens.
pub(super) struct Chosen {
    pub(super) profile: Profile,
    tokens: TokenCache,
}

impl Chosen {
    fn new(profile: Profile, server: &Server) -> Result<Self, CliError> {
        let mut origins = Origins::default();
        for origin in profile.origins() {
            origins.bind(origin.clone());
        }
        for origin in profile.plain_http_origins() {
            origins.allow_plain_http(origin.clone());
        }
        origins.check(&server.origin)?;
        if profile.proves_possession() {
            return Err(CliError::usage(format!(
                "the token of the profile {} is bound to a key (DPoP), and another program cannot prove that it has the key; \
                 use `keyfob request`",
                profile.name()
            )));
        }
        let tokens = profile.tokens()?;
        Ok(Self { profile, tokens })
    }

    /// A valid credential.
    pub(super) async fn credential(&self) -> Result<Credential, CliError> {
        Ok(Credential::of_lease(&self.tokens.lease(None).await?))
    }

    /// A credential other than the rejected one. It is renewed only if the rejected one is still the current one (T8).
    pub(super) async fn credential_after(
        &self,
        is_rejected: impl Fn(&Credential) -> bool,
    ) -> Result<Credential, CliError> {
        let is_rejected = |lease: &Lease| is_rejected(&Credential::of_lease(lease));
        Ok(Credential::of_lease(
            &other_than(&self.tokens, is_rejected).await?,
        ))
    }

    /// A new credential, for a program that does not say which one was rejected.
    pub(super) async fn renewed(&self) -> Result<Credential, CliError> {
        show_stored(&self.profile, &self.tokens).await?;
        Ok(Credential::of_lease(&renewed(&self.tokens).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_a_host_that_two_parsers_could_read_in_two_ways_is_none() {
        for authority in [
            "",
            "a.example:x",
            "a.example:99999",
            "a.example@evil.example",
            "a.example\\@evil.example",
            "a.example/evil",
            "a%2eexample",
            "a.example\n",
            "a.example\0",
            "0x7f.1",
            "2130706433",
            "[::1",
            "a.example:443:443",
        ] {
            assert!(
                Server::of_parts("https", authority, "").is_none(),
                "{authority:?}"
            );
            let url = format!("https://{authority}?x");
            assert!(
                Server::of_url(&url).is_none() || authority.contains('/'),
                "{url:?}"
            );
        }
        assert!(Server::of_url("https://a.example/x\ny").is_none());
        assert!(Server::of_parts("ssh", "a.example", "").is_none());
    }

    #[test]
    fn a_server_is_read_from_its_parts_or_from_a_url() {
        let parts = Server::of_parts("https", "A.example:8443", "a/b c").unwrap();
        assert_eq!(parts.url.as_str(), "https://a.example:8443/a/b%20c");
        let url = Server::of_url("https://[::1]:5000/v2/?x#y").unwrap();
        assert_eq!(url.origin.to_string(), "https://[::1]:5000");
        assert_eq!(
            Server::of_url("https://a.example").unwrap().host(),
            "a.example"
        );
    }
}
