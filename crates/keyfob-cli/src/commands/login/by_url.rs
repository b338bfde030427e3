//! A sign-in that needs only the URL of an API: everything else comes from its metadata (RFC 9728).

use std::io::{BufRead, IsTerminal, stderr, stdin};

use clap::Args;
use keyfob::error::printable;
use keyfob::oauth::{AuthorizationServer, Client, ProtectedResource, Registration};
use keyfob::{ErrorKind, Profile, Profiles};
use url::Url;

use crate::commands::login::new_client::{ChosenClient, ClientFrom, NewClient};
use crate::commands::login::new_profile::{
    NewProfile, OFFLINE_ACCESS, base_url, name_for, with_client,
};
use crate::commands::login::sign_in::{SignInOptions, require_writable};
use crate::options::profile::ConfigOption;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::login_command::LoginCommand;
use crate::output::print::{print_notice, print_stderr, print_stdout};

/// The options of a sign-in by URL.
#[derive(Args)]
#[command(next_help_heading = "Sign in by URL")]
pub(super) struct ByUrlOptions {
    /// Sign in at this server, one of those that the API names
    ///
    /// keyfob then does not ask whether you trust it.
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,
    /// Sign in at the server that the API names, without a question
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    client: NewClient,
}

/// One sign-in by URL.
pub(super) struct ByUrl<'a> {
    pub(super) url: &'a Url,
    /// The name that the person gave to the profile.
    pub(super) name: Option<&'a str>,
    pub(super) config: &'a ConfigOption,
    pub(super) options: &'a ByUrlOptions,
    pub(super) sign_in: &'a SignInOptions,
}

/// What a profile for this sign-in says.
struct Wanted<'a> {
    name: &'a str,
    base_url: String,
    issuer: &'a str,
}

impl Wanted<'_> {
    /// Whether this profile signs in to the same API, at the same server.
    fn is_of(&self, profile: &Profile) -> bool {
        let base_url = profile
            .base_url()
            .map(|url| url.as_str().trim_end_matches('/'));
        base_url == Some(self.base_url.trim_end_matches('/'))
            && profile.sign_in().is_some()
            && profile.token_from() == format!("{GRANT} at {}", self.issuer)
    }
}

impl ByUrlOptions {
    /// Fails if one of the options is given, because a profile has keys for the same.
    pub(super) fn require_none(&self) -> Result<(), CliError> {
        match self.issuer.is_some() || self.yes || self.client.is_given() {
            true => Err(CliError::usage(
                "the options of a sign-in by URL need a URL with its scheme, such as https://mcp.example.com/mcp; a profile has keys \
                 for the same settings",
            )),
            false => Ok(()),
        }
    }
}

impl ByUrl<'_> {
    pub(super) async fn run(&self) -> Result<ExitCode, CliError> {
        let profiles = self.config.profiles_so_far()?;
        let resource = self.discover().await?;
        let issuer = self.issuer(&resource)?;
        let name = self.name.map_or_else(|| name_for(self.url), str::to_owned);
        require_plain(&name)?;
        let wanted = Wanted {
            name: &name,
            base_url: base_url(resource.resource()),
            issuer,
        };
        let existing = self.existing(&profiles, &wanted)?;
        self.confirm(&resource, issuer)?;
        let server = resource.authorization_server(issuer).await?;
        match existing {
            Some(profile) => self.use_existing(&profiles, &profile, &server).await?,
            None => self.add(&name, &resource, &server).await?,
        }
        Ok(ExitCode::Done)
    }

    async fn discover(&self) -> Result<ProtectedResource, CliError> {
        let mut discovery = ProtectedResource::builder(self.url.as_str());
        if let Some(file) = self.config.ca_file() {
            discovery = discovery.ca_file(file);
        }
        let resource = discovery.discover().await?;
        let needed = match (resource.requires_dpop(), resource.requires_certificate()) {
            (true, _) => {
                "`dpop_key`: it accepts only tokens that are bound to a key (DPoP, RFC 9449)"
            }
            (_, true) => {
                "a client certificate: it accepts only tokens that are bound to one (RFC 8705)"
            }
            _ => return Ok(resource),
        };
        Err(CliError::usage(format!(
            "write a profile for this API, with {needed}; it names the server {}",
            printable(resource.authorization_servers().join(", "))
        )))
    }
}

impl ByUrl<'_> {
    /// The server to sign in at.
    fn issuer<'a>(&'a self, resource: &'a ProtectedResource) -> Result<&'a str, CliError> {
        match (&self.options.issuer, resource.authorization_servers()) {
            (Some(issuer), _) => Ok(issuer),
            (None, [only]) => Ok(only),
            (None, several) => {
                let several: Vec<_> = several.iter().map(printable).collect();
                Err(CliError::usage(format!(
                    "the API names several servers to sign in at; choose one with --issuer: {}",
                    printable(several.join(", "))
                )))
            }
        }
    }

    /// The profile of an earlier sign-in to this resource at this server.
    fn existing(
        &self,
        profiles: &Profiles,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Profile>, CliError> {
        let mut fitting = profiles.iter().filter(|profile| {
            wanted.is_of(profile) && self.name.is_none_or(|name| name == profile.name())
        });
        if let Some(profile) = fitting.next() {
            return match fitting.next() {
                Some(_) => Err(CliError::usage(
                    "several profiles sign in to this API; name one with --profile",
                )),
                None => Ok(Some(profile.clone())),
            };
        }
        match profiles.get(wanted.name) {
            Ok(_) => Err(CliError::usage(format!(
                "{} has a profile {} already, for another API or another server; give another name with --profile",
                profiles.file(),
                wanted.name
            ))),
            Err(_) => Ok(None),
        }
    }

    /// Shows what the API named, and asks whether to go on.
    fn confirm(&self, resource: &ProtectedResource, issuer: &str) -> Result<(), CliError> {
        let scopes = match resource.scopes() {
            [] => "those that the server gives by itself".to_owned(),
            scopes => scopes.join(" "),
        };
        print_stderr(format!(
            "The API asks you to sign in.\n- server: {}\n- tokens for: {}\n- scopes: {}\n",
            printable(issuer),
            printable(resource.resource()),
            printable(scopes)
        ));
        if self.options.yes || self.options.issuer.is_some() {
            return Ok(());
        }
        match agrees("Do you trust this server, and want to sign in there? [y/N] ") {
            Ok(true) => Ok(()),
            Ok(false) => Err(CliError::new(
                ExitCode::NoToken,
                "not signed in, because you did not agree",
            )),
            Err(error) => Err(error),
        }
    }

    /// Signs in with the profile of an earlier sign-in, which stays as it is if the server still knows its client.
    async fn use_existing(
        &self,
        profiles: &Profiles,
        profile: &Profile,
        server: &AuthorizationServer,
    ) -> Result<(), CliError> {
        let client = &self.options.client;
        if !client.asks_for_new_client() {
            if client.is_given() {
                return Err(CliError::usage(format!(
                    "the profile {} of {} signs in to this API, and names its client; change it there, or give another name with --profile",
                    profile.name(),
                    profiles.file()
                )));
            }
            match self.sign_in.token(profile).await {
                Ok(token) => return self.sign_in.keep(profile, token, self.config).await,
                Err(error) if !Registration::is_refused(&error) => return Err(explain(error)),
                Err(_) => print_notice("keyfob: the server does not know the client any more\n"),
            }
        }
        self.replace_client(profiles, profile, server).await
    }

    /// Signs in with another client, and writes it into the profile if the person agrees.
    async fn replace_client(
        &self,
        profiles: &Profiles,
        profile: &Profile,
        server: &AuthorizationServer,
    ) -> Result<(), CliError> {
        let (name, file) = (profile.name(), profiles.file());
        let question = format!("Write another client into the profile {name} of {file}? [y/N] ");
        if !self.options.yes && !agrees(&question)? {
            return Err(CliError::new(
                ExitCode::NoToken,
                format!(
                    "not signed in, because {file} must not change; give another name with --profile, or --yes"
                ),
            ));
        }
        let old = profile.client().await?;
        let old = old.as_ref().and_then(Client::id).unwrap_or_default();
        let chosen = self.options.client.replace(old, server).await?;
        let registration = &chosen.registration;
        let change = |text: String| {
            with_client(&text, name, registration).ok_or_else(|| {
                let login = LoginCommand {
                    profile: name,
                    config: &self.config.arguments(),
                    ..LoginCommand::default()
                };
                CliError::usage(format!(
                    "the profile {name} of {file} is not as keyfob wrote it, and stays as it is; set client_id = \"{}\" and \
                     redirect_uri = \"{}\" there, and run `{login}`",
                    printable(registration.client_id()),
                    registration.redirect_uri()
                ))
            })
        };
        self.config.edit(name, change)?;
        let profiles = self.config.profiles()?;
        let profile = profiles.get(name)?;
        self.sign_in.sign_in(profile, self.config).await
    }

    /// Signs in with a new profile, and adds it to the file.
    async fn add(
        &self,
        name: &str,
        resource: &ProtectedResource,
        server: &AuthorizationServer,
    ) -> Result<(), CliError> {
        let mut scopes = resource.scopes().to_vec();
        // Servers of OpenID Connect return a refresh token for this scope only.
        if !scopes.is_empty()
            && server.supports_scope(OFFLINE_ACCESS)
            && !scopes.iter().any(|scope| scope == OFFLINE_ACCESS)
        {
            scopes.push(OFFLINE_ACCESS.to_owned());
        }
        let text_for = |chosen: &ChosenClient| {
            let profile = NewProfile {
                name,
                resource,
                scopes: &scopes,
                registration: &chosen.registration,
                about_client: chosen.from.description(),
                ca_file: self.config.ca_file(),
            };
            profile.to_toml()
        };
        let client = &self.options.client;
        let mut chosen = client.choose(server).await?;
        let (text, profile, token) = loop {
            let text = text_for(&chosen);
            let profile = Profiles::from_text(&text)?.get(name)?.clone();
            require_writable(&profile).await?;
            match self.sign_in.token(&profile).await {
                Ok(token) => break (text, profile, token),
                Err(error) if chosen.from != ClientFrom::Store => return Err(error.into()),
                // The server has removed the client. One that is registered now is not refused for this reason.
                Err(error) if Registration::is_refused(&error) => {
                    print_notice(
                        "keyfob: the server does not know the client any more; registering a new one\n",
                    );
                    chosen = client.register(server).await?;
                }
                Err(error) if error.kind() == ErrorKind::Deadline => {
                    return Err(CliError::new(
                        ExitCode::NoToken,
                        format!(
                            "{error}; if the browser showed that the client is unknown, add --new-client"
                        ),
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        };
        self.sign_in.keep(&profile, token, self.config).await?;
        let file = self.config.append(name, &text)?;
        print_stdout(format!(
            "added the profile {name} to {}\nnow run: keyfob request {}\n",
            file.display(),
            resource.resource()
        ))
    }
}

/// Asks a question at the terminal.
fn agrees(question: &str) -> Result<bool, CliError> {
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(CliError::usage(format!(
            "there is no terminal for a question; if the answer is yes, give --yes: {question}"
        )));
    }
    print_stderr(question);
    let mut answer = String::new();
    let read = stdin().lock().read_line(&mut answer);
    read.map_err(|error| CliError::failed("the terminal cannot be read", &error))?;
    let answer = answer.trim().to_ascii_lowercase();
    Ok(answer == "y" || answer == "yes")
}

/// Adds what may be wrong if a server shows its error in the browser alone.
fn explain(error: keyfob::Error) -> CliError {
    match error.kind() {
        ErrorKind::Deadline => CliError::new(
            ExitCode::NoToken,
            format!("{error}; if the browser showed that the client is unknown, add --new-client"),
        ),
        _ => error.into(),
    }
}

/// Fails for a name that the file cannot have, before anything is registered under it.
fn require_plain(name: &str) -> Result<(), CliError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match !name.is_empty() && name.chars().all(is_plain) {
        true => Ok(()),
        false => Err(CliError::usage(
            "the name of a profile may have only letters, digits, `-`, `_` and `.`",
        )),
    }
}

const GRANT: &str = "authorization_code";
