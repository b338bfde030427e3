//! The client as which a person signs in at a server that keyfob has no settings for.

use std::env;
use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};

use clap::Args;
use keyfob::error::printable;
use keyfob::oauth::{AuthorizationServer, Registration, RegistrationRequest};
use keyfob::store::FileStore;
use url::Url;

use crate::output::error::CliError;

/// The options that choose or make a client.
#[derive(Args)]
pub(super) struct NewClient {
    /// Sign in as this client, which you have registered at the server
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Sign in as the client that the document at this URL describes, if the server reads such documents
    ///
    /// It is the URL of a client id metadata document. Without the option, KEYFOB_CLIENT_METADATA_URL is read.
    #[arg(long, value_name = "URL")]
    client_metadata_url: Option<String>,
    /// The redirect URI of that client [default: http://127.0.0.1/callback with any port]
    #[arg(long, value_name = "URI")]
    redirect_uri: Option<String>,
    /// Send the initial access token in this environment variable, if keyfob registers a client
    #[arg(long, value_name = "VARIABLE")]
    registration_token_env: Option<OsString>,
    /// Register a new client, although keyfob has one at the server
    #[arg(long)]
    new_client: bool,
}

/// A client, and how it came about.
pub(super) struct ChosenClient {
    pub(super) registration: Registration,
    pub(super) from: ClientFrom,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientFrom {
    /// The person named it.
    Option,
    MetadataUrl,
    /// It was registered for an earlier sign-in.
    Store,
    /// It was registered now.
    Registered,
}

impl ClientFrom {
    /// A comment for the profile.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Option => "A client that you registered.",
            Self::MetadataUrl => {
                "The URL of a document that describes the client (client id metadata document)."
            }
            Self::Store | Self::Registered => {
                "keyfob registered this client at the server (RFC 7591). It belongs to this issuer alone."
            }
        }
    }
}

impl NewClient {
    /// Whether a client is to be registered in place of the present one.
    pub(super) fn asks_for_new_client(&self) -> bool {
        self.new_client
    }

    /// Whether one of the options is given.
    pub(super) fn is_given(&self) -> bool {
        let texts = [
            &self.client_id,
            &self.client_metadata_url,
            &self.redirect_uri,
        ];
        texts.iter().any(|text| text.is_some())
            || self.registration_token_env.is_some()
            || self.new_client
    }

    /// The client for a sign-in at this server, which is registered now if there is no other way.
    pub(super) async fn choose(
        &self,
        server: &AuthorizationServer,
    ) -> Result<ChosenClient, CliError> {
        let issuer = server.issuer();
        if let Some(id) = &self.client_id {
            return Ok(self.known(issuer, id, ClientFrom::Option));
        }
        if let Some(url) = self.metadata_url()?
            && server.accepts_client_metadata_url()
        {
            return Ok(self.known(issuer, &url, ClientFrom::MetadataUrl));
        }
        let stored = match self.new_client {
            true => None,
            false => Registration::load(&store()?, issuer).await?,
        };
        match stored {
            Some(registration) => Ok(ChosenClient {
                registration,
                from: ClientFrom::Store,
            }),
            None => self.register(server).await,
        }
    }

    /// A client in place of this one, which the server has removed: one that was registered for another profile, or a new one.
    pub(super) async fn replace(
        &self,
        old: &str,
        server: &AuthorizationServer,
    ) -> Result<ChosenClient, CliError> {
        if !self.new_client
            && let Some(registration) = Registration::load(&store()?, server.issuer()).await?
            && registration.client_id() != old
        {
            return Ok(ChosenClient {
                registration,
                from: ClientFrom::Store,
            });
        }
        self.register(server).await
    }

    /// Registers a client, and keeps it for later sign-ins at this server.
    pub(super) async fn register(
        &self,
        server: &AuthorizationServer,
    ) -> Result<ChosenClient, CliError> {
        if !server.registers_clients() {
            return Err(CliError::usage(format!(
                "the server {} needs a client id, and registers no client by itself; register one there, for a native program with \
                 the redirect URI {REDIRECT_URI}, and give its id with --client-id",
                printable(server.issuer())
            )));
        }
        let redirect_uri = match &self.redirect_uri {
            Some(uri) => uri.clone(),
            None => free_redirect_uri()?,
        };
        let mut request = RegistrationRequest::new(CLIENT_NAME, redirect_uri)?;
        if let Some(token) = self.initial_access_token()? {
            request = request.initial_access_token(token)?;
        }
        let registration = server.register(&request).await?;
        registration.save(&store()?).await?;
        Ok(ChosenClient {
            registration,
            from: ClientFrom::Registered,
        })
    }

    /// A client that the server knows already, or reads about at its URL.
    fn known(&self, issuer: &str, id: &str, from: ClientFrom) -> ChosenClient {
        let redirect_uri = self.redirect_uri.as_deref().unwrap_or(REDIRECT_URI);
        ChosenClient {
            registration: Registration::new(issuer, id, redirect_uri),
            from,
        }
    }

    fn metadata_url(&self) -> Result<Option<String>, CliError> {
        let variable = || env::var("KEYFOB_CLIENT_METADATA_URL").ok();
        let given = self.client_metadata_url.clone().or_else(variable);
        let Some(given) = given.filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        // The draft of client id metadata documents: "MUST have an "https" scheme, MUST contain a path component".
        let is_usable = |url: &Url| {
            url.scheme() == "https"
                && url.path() != "/"
                && url.fragment().is_none()
                && url.username().is_empty()
        };
        match Url::parse(&given) {
            Ok(url) if is_usable(&url) => Ok(Some(given)),
            _ => Err(CliError::usage(
                "the URL of a client id metadata document must be https with a path, such as https://tool.example.com/client.json",
            )),
        }
    }

    fn initial_access_token(&self) -> Result<Option<String>, CliError> {
        let Some(name) = &self.registration_token_env else {
            return Ok(None);
        };
        match env::var(name) {
            Ok(token) if !token.is_empty() => Ok(Some(token)),
            _ => Err(CliError::usage(
                "the environment variable that --registration-token-env names is not set; give the name of a variable, and not the \
                 token",
            )),
        }
    }
}

/// The directory in which registrations are kept, each under its issuer.
fn store() -> Result<FileStore, CliError> {
    Ok(FileStore::new(FileStore::default_directory()?))
}

/// A redirect URI with a port that is free now, because some servers compare it as a whole.
fn free_redirect_uri() -> Result<String, CliError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    let port = address
        .map_err(|error| CliError::failed("no port of 127.0.0.1 can be opened", &error))?
        .port();
    Ok(format!("http://127.0.0.1:{port}/callback"))
}

/// The name that a person sees at the server.
const CLIENT_NAME: &str = "keyfob";

const REDIRECT_URI: &str = "http://127.0.0.1/callback";
