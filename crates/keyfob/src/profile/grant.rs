//! The token source of a profile with an OAuth 2.0 grant.

use std::sync::Arc;

use futures_util::lock::Mutex;
use zeroize::Zeroizing;

use crate::error::error::{Error, ErrorKind};
use crate::oauth::client::Client;
use crate::oauth::client_builder::ClientBuilder;
use crate::oauth::grants::client_credentials::ClientCredentials;
use crate::oauth::grants::custom_grant::CustomGrant;
use crate::oauth::grants::jwt_bearer::JwtBearer;
use crate::oauth::grants::refresh_token::RefreshToken;
use crate::oauth::grants::smart_backend_services::SmartBackendServices;
use crate::oauth::grants::token_exchange::{TokenExchange, TokenType};
use crate::profile::client::{Secrets, at, plain_http};
use crate::profile::http_source::LinkSources;
use crate::profile::metadata_files::MetadataFiles;
use crate::profile::schema::Definition;
use crate::profile::schema::grant::{Assertion, ExchangeSettings, Grant, GrantKind};
use crate::profile::set_each::SetEach;
use crate::profile::shared_clients::{MadeFromSecrets, SharedClient};
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::token::token::Token;

/// Adds the grant's parameters to a source or a sign-in.
///
/// A macro, because the types have the same setters but no common trait.
macro_rules! with_parameters {
    ($source:expr, $grant:expr, $secrets:expr) => {
        with_parameters!($source, $grant).set_each(&$secrets.parameters, |source, (name, value)| {
            source.parameter(name, value.as_str())
        })
    };
    ($source:expr, $grant:expr) => {
        $source
            .scopes(&$grant.scopes)
            .set_each(&$grant.audience, |source, audience| {
                source.audience(audience)
            })
            .set_each(&$grant.resource, |source, resource| {
                source.resource(resource)
            })
            .set_each(&$grant.parameters, |source, (name, value)| {
                source.parameter(name, value)
            })
            .set_each($grant.uses_id_token.then_some(()), |source, ()| {
                source.use_id_token()
            })
    };
}

pub(super) use with_parameters;

/// Requests tokens from the server of a profile.
///
/// It reads the secrets at each renewal, and makes a new inner source when one of them has changed.
pub(super) struct GrantSource {
    definition: Arc<Definition>,
    grant: Grant,
    links: LinkSources,
    client: SharedClient,
    /// The inner source, and the secrets that it was made from.
    current: Mutex<Option<InnerSource>>,
}

type InnerSource = (Arc<MadeFromSecrets>, Arc<dyn TokenSource>);

impl GrantSource {
    /// The source of a grant of this profile. It may be that of a link.
    pub(super) fn new(
        definition: &Arc<Definition>,
        grant: &Grant,
        links: LinkSources,
        client: SharedClient,
    ) -> Self {
        Self {
            definition: Arc::clone(definition),
            grant: grant.clone(),
            links,
            client,
            current: Mutex::new(None),
        }
    }

    async fn source(&self, request: &TokenRequest) -> Result<Arc<dyn TokenSource>, Error> {
        // Held while the secrets are read, so that concurrent renewals make one source.
        let mut current = self.current.lock().await;
        let secrets = Secrets::read(&self.grant, request).await?;
        // With the same secrets, the source is kept: it knows the server's metadata already.
        if let Some((known, source)) = &*current
            && known.secrets == secrets
        {
            return Ok(Arc::clone(source));
        }
        let made = self.client.of(secrets, &request.clock);
        let source = self.new_source(&made, request).await?;
        *current = Some((made, Arc::clone(&source)));
        Ok(source)
    }

    async fn new_source(
        &self,
        made: &MadeFromSecrets,
        request: &TokenRequest,
    ) -> Result<Arc<dyn TokenSource>, Error> {
        let (grant, secrets) = (&self.grant, &made.secrets);
        let client = || made.client(grant, &self.definition.store, &self.links);
        Ok(match &grant.kind {
            GrantKind::ClientCredentials => {
                let source = ClientCredentials::new(client().await?);
                Arc::new(with_parameters!(source, grant, secrets))
            }
            GrantKind::SmartBackendServices => {
                // This source makes its own client, because SMART prescribes the authentication.
                let (base, key) = (grant.server.url(), made.signing_key(grant)?);
                let files = MetadataFiles::of(&self.definition.store);
                let id = grant.client.id.as_deref().unwrap_or_default();
                let client = Client::builder(id)
                    .shared_clock(Arc::clone(&request.clock))
                    .set_each(&grant.ca_file, ClientBuilder::ca_file)
                    .set_each(plain_http(grant), ClientBuilder::allow_plain_http)
                    .set_each(
                        &grant.certificate().await?,
                        ClientBuilder::client_certificate,
                    )
                    .set_each(files, MetadataFiles::used_by);
                let source = SmartBackendServices::discover_with(client, base, key)?;
                Arc::new(with_parameters!(source, grant, secrets))
            }
            GrantKind::Custom { grant_type } => {
                let source = CustomGrant::new(client().await?, grant_type);
                Arc::new(with_parameters!(source, grant, secrets))
            }
            GrantKind::RefreshToken(_) => {
                let refresh_token = self.refresh_token(request).await?;
                let source = RefreshToken::new(client().await?, refresh_token.as_str())?;
                Arc::new(with_parameters!(source, grant, secrets))
            }
            GrantKind::SignIn(_) => {
                let refresh_token = self.refresh_token(request).await?;
                let source = RefreshToken::new(client().await?, refresh_token.as_str())?;
                // The scopes and parameters are those of the sign-in. A renewal without a scope gets what was granted, which
                // may be less than what was asked for (RFC 6749 §6). Only resources are defined for it (RFC 8707 §2.2).
                let source = source
                    .set_each(&grant.resource, |source, resource| {
                        source.resource(resource)
                    })
                    .set_each(grant.uses_id_token.then_some(()), |source, ()| {
                        source.use_id_token()
                    });
                Arc::new(source)
            }
            GrantKind::JwtBearer(Assertion::Stored(place)) => {
                let source = JwtBearer::from_source(client().await?, at(place, &self.links));
                Arc::new(with_parameters!(source, grant, secrets))
            }
            GrantKind::JwtBearer(Assertion::Signed {
                subject, audience, ..
            }) => {
                let source = JwtBearer::signed(client().await?, made.signing_key(grant)?)
                    .set_each(subject, JwtBearer::subject)
                    .set_each(audience, JwtBearer::assertion_audience);
                Arc::new(with_parameters!(source, grant, secrets))
            }
            GrantKind::TokenExchange(settings) => {
                let source = exchange(client().await?, settings, &self.links);
                Arc::new(with_parameters!(source, grant, secrets))
            }
        })
    }

    /// The refresh token of the previous token, or else the first one, which the file refers to.
    async fn refresh_token(&self, request: &TokenRequest) -> Result<Zeroizing<String>, Error> {
        // RFC 6749 §6: "the client MUST discard the old refresh token and replace it with the new refresh token".
        if let Some(text) = request.previous().and_then(Token::refresh_token) {
            return Ok(Zeroizing::new(text.to_owned()));
        }
        match &self.grant.kind {
            GrantKind::RefreshToken(first) => first.read(request).await,
            _ => Err(Error::refused(format!(
                "there is no sign-in for this profile; run `{}`",
                command(&self.definition, "login")
            ))),
        }
    }

    /// Adds what a person has to do, if the sign-in has ended.
    fn explain(&self, error: Error) -> Error {
        let is_refusal = error.kind() == ErrorKind::Refused;
        let explained = match sign_in_advice(&self.definition) {
            Some(_) if is_refusal && error.is_about_client() => error.explained(
                "the server does not accept the client, so the token is not renewed; check `client_id`, and the client's secret or key",
            ),
            Some(advice) if is_refusal => error.explained(format!(
                "the server refused to renew the token; if the sign-in has ended, {advice}"
            )),
            _ => return self.advised(error),
        };
        explained.outcome_known()
    }

    /// Adds what a person can do, if the preset of a platform knows it.
    fn advised(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Refused {
            return error;
        }
        let text = error.to_string();
        let words: Vec<_> = text
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .collect();
        let fitting = self
            .grant
            .advice
            .iter()
            .find(|(word, _)| words.contains(word));
        match fitting {
            Some((_, advice)) => error.advised(advice),
            None => error,
        }
    }
}

/// What a person does to sign in again; `None` if there is no refresh token.
pub(super) fn sign_in_advice(definition: &Definition) -> Option<String> {
    match &definition.token.grant()?.kind {
        GrantKind::SignIn(_) => Some(format!("run `{}`", command(definition, "login"))),
        // The stored refresh token comes before the first one.
        GrantKind::RefreshToken(first) => Some(format!(
            "put a new refresh token into {first} and run `{}`",
            command(definition, "forget")
        )),
        _ => None,
    }
}

/// A command for this profile, as a shell takes it. With the wrong file, it would find no profile of the name, or another one.
fn command(definition: &Definition, verb: &str) -> String {
    let mut words = vec!["keyfob", verb, &definition.name];
    for (option, path) in &definition.options {
        words.extend([*option, path.as_str()]);
    }
    if definition.pool_key.is_some() {
        // The subject itself is left out, because it may name a person.
        words.extend(["--subject", "SUBJECT"]);
    }
    shell_words::join(words)
}

impl TokenSource for GrantSource {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move {
            // A secret that cannot be read in time leaves no doubt: nothing was sent.
            let source = self.source(request).await.map_err(Error::outcome_known)?;
            let outcome = source.fetch(request).await;
            outcome.map_err(|error| self.explain(error))
        })
    }

    fn consumes_refresh_token(&self) -> bool {
        // Asked before the secrets are read, so the inner source, which knows it too, may not exist yet.
        self.grant.consumes_refresh_token()
    }
}

fn exchange(client: Client, settings: &ExchangeSettings, links: &LinkSources) -> TokenExchange {
    let kind = |uri: &String| TokenType::Other(uri.clone());
    let subject = at(&settings.subject, links);
    TokenExchange::new(client, subject, kind(&settings.subject_type))
        .set_each(&settings.actor, |source, (actor, uri)| {
            source.actor(at(actor, links), kind(uri))
        })
        .set_each(&settings.requested_type, |source, uri| {
            source.requested_token_type(kind(uri))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::profile::Profiles;

    #[test]
    fn the_advice_has_the_options_with_which_the_profile_was_made() {
        for (grant, command) in [
            ("grant = \"device_code\"", "login"),
            (
                "grant = \"refresh_token\"\nrefresh_token = \"env:T\"",
                "forget",
            ),
        ] {
            let text = format!(
                "[profiles.a]\norigins = \"https://a.example\"\nca_file = \"/own.pem\"\n[profiles.a.token]\n{grant}\n\
                 issuer = \"https://i.example\"\nclient_id = \"a\"\n"
            );
            let profiles = Profiles::from_text(&text).unwrap();
            let advice = |profiles: &Profiles| {
                let profile = profiles.get("a").unwrap();
                sign_in_advice(&profile.definition).unwrap()
            };
            let plain = format!("run `keyfob {command} a`");
            assert!(advice(&profiles).ends_with(&plain), "{}", advice(&profiles));
            let trusting = profiles.with_ca_file("/x.pem").with_ca_file("/a b.pem");
            let told = advice(&trusting);
            let full = format!("run `keyfob {command} a --cacert '/a b.pem'`");
            assert!(told.ends_with(&full), "{told}");
        }
    }
}
