//! The protocol of docker's credential helpers, which podman, buildah and skopeo speak too.
//!
//! <https://github.com/docker/docker-credential-helpers>

use clap::Args;
use serde_json::{Map, Value, json};

use crate::commands::helper::choose::{Chosen, HelperOptions, Server};
use crate::commands::helper::username;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;
use crate::stdin::read_stdin;

/// Give the credential for a registry to docker, podman, buildah or skopeo
///
/// The link is docker-credential-keyfob in a folder of PATH. `erase`, which `docker logout` runs, renews the token. Messages go to
/// standard output, and the exit code of a failure is always 1, as docker expects.
#[derive(Args)]
pub(super) struct Docker {
    #[command(flatten)]
    options: HelperOptions,
    /// The user name that goes with the token [default: what the registry expects]
    ///
    /// `<token>` says that the token is an identity token, which the registry's token endpoint takes as a refresh token.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// What docker asks for: get, store, erase or list
    operation: String,
}

impl Docker {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let message = match self.answer().await {
            Ok(text) => {
                print_stdout(text)?;
                return Ok(ExitCode::Done);
            }
            Err(error) => match error.message() {
                Some(message) => message.to_owned(),
                None => return Err(error),
            },
        };
        // Docker shows what a helper that fails has written to its standard output.
        print_stdout(format!("{message}\n"))?;
        Err(CliError::silent(ExitCode::Failed))
    }

    async fn answer(&self) -> Result<String, CliError> {
        if self.operation == "list" {
            return self.list();
        }
        let input = read_stdin("the request").await?;
        match self.operation.as_str() {
            "get" => self.get(input.trim()).await,
            "erase" => match self.choose(input.trim())? {
                Some((_, chosen)) => chosen.renewed().await.map(|_| String::new()),
                None => Ok(String::new()),
            },
            "store" => self.store(&input).await,
            _ => Err(CliError::usage(
                "docker asks for `get`, `store`, `erase` or `list`; this is another operation",
            )),
        }
    }

    async fn get(&self, name: &str) -> Result<String, CliError> {
        if name.is_empty() {
            return Err(CliError::usage("no credentials server URL"));
        }
        let Some((server, chosen)) = self.choose(name)? else {
            return Err(CliError::new(ExitCode::NoToken, NOT_FOUND));
        };
        let (user, secret) = self.user_and_secret(&server, &chosen).await?;
        let response = json!({ "ServerURL": name, "Username": user, "Secret": secret });
        Ok(format!("{response}\n"))
    }

    async fn user_and_secret(
        &self,
        server: &Server,
        chosen: &Chosen,
    ) -> Result<(String, String), CliError> {
        let credential = chosen.credential().await?;
        if let Some(pair) = credential.basic() {
            return Ok(pair);
        }
        let user = match &self.username {
            Some(name) => name,
            None => username::for_docker(server.host()),
        };
        Ok((user.to_owned(), credential.bearer("docker")?.to_owned()))
    }

    /// The registry of this name: a host, or a URL such as `https://index.docker.io/v1/`.
    fn choose(&self, name: &str) -> Result<Option<(Server, Chosen)>, CliError> {
        let with_scheme = |scheme: &str| match name.contains("://") {
            true => Server::of_url(name),
            false => Server::of_url(&format!("{scheme}://{name}")),
        };
        let Some(server) = with_scheme("https") else {
            return Ok(None);
        };
        if let Some(chosen) = self.options.choose(&server)? {
            return Ok(Some((server, chosen)));
        }
        // A registry at a loopback address may be without TLS, and its name does not say so.
        let Some(server) = with_scheme("http").filter(Server::is_loopback_address) else {
            return Ok(None);
        };
        let chosen = self.options.choose(&server)?;
        Ok(chosen.map(|chosen| (server, chosen)))
    }

    /// Says that nothing is stored, unless what docker stores is what keyfob gave it.
    async fn store(&self, input: &str) -> Result<String, CliError> {
        let request: Value = serde_json::from_str(input).unwrap_or_default();
        let text = |name: &str| request[name].as_str();
        let (Some(name), Some(secret)) = (text("ServerURL"), text("Secret")) else {
            return Err(CliError::usage(
                "the request on standard input is not the JSON that docker writes",
            ));
        };
        let Some((server, chosen)) = self.choose(name)? else {
            return Err(CliError::usage(
                "nothing was stored: no keyfob profile is for this registry; add one with `keyfob profile add`",
            ));
        };
        let (_, own) = self.user_and_secret(&server, &chosen).await?;
        match own == secret {
            true => Ok(String::new()),
            false => Err(CliError::usage(format!(
                "nothing was stored: the credential for this registry comes from the keyfob profile {}, so `docker login` is not needed",
                chosen.profile.name()
            ))),
        }
    }

    /// The registries that there are credentials for, each with its user name.
    fn list(&self) -> Result<String, CliError> {
        let mut found = Map::new();
        for profile in self.options.profiles()? {
            for origin in profile.origins() {
                let origin = origin.to_string();
                let (_, name) = origin.split_once("://").unwrap_or_default();
                let user = match (&self.username, Server::of_url(&origin)) {
                    (Some(name), _) => name.clone(),
                    (None, Some(server)) => username::for_docker(server.host()).to_owned(),
                    (None, None) => continue,
                };
                found.insert(name.to_owned(), Value::String(user));
            }
        }
        Ok(format!("{}\n", Value::Object(found)))
    }
}

/// The text by which docker knows that there is no credential, and not a failure.
const NOT_FOUND: &str = "credentials not found in native keychain";
