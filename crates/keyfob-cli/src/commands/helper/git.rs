//! The protocol of git's credential helpers (gitcredentials(7), git-credential(1)).

mod request;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use keyfob::Token;

use crate::commands::helper::choose::{Chosen, HelperOptions, Server};
use crate::commands::helper::git::request::GitRequest;
use crate::commands::helper::repeated::fingerprint;
use crate::commands::helper::username;
use crate::credential::Credential;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;
use crate::stdin::read_stdin;

/// Give the credential for a repository to git
///
/// From git 2.46 on, a token that the server rejects is renewed while git waits. Older versions fail once, and the next run has a new
/// token. If there is no token, git is told to stop (`quit`), so that it asks for no password.
///
/// For example: git config --global credential.https://git.example.com.helper '!keyfob helper git'
#[derive(Args)]
pub(super) struct Git {
    #[command(flatten)]
    options: HelperOptions,
    /// The user name that goes with the token, where the server takes only a user and a password [default: what the server expects]
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// What git asks for: get, store, erase or capability; any other is ignored
    operation: String,
}

impl Git {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        match self.operation.as_str() {
            "capability" => print_stdout("version 0\ncapability authtype\ncapability state\n")?,
            "get" => match self.get().await {
                Ok(attributes) => print_stdout(lines(&attributes))?,
                Err(error) => {
                    // Otherwise git asks other helpers, and then a person.
                    print_stdout("quit=true\n")?;
                    return Err(error);
                }
            },
            "erase" => self.erase().await?,
            // Of `store` there is nothing to keep. "If a helper receives any other operation, it should silently ignore the request."
            _ => drop(read_stdin("the credential").await?),
        }
        Ok(ExitCode::Done)
    }

    async fn get(&self) -> Result<Attributes, CliError> {
        let request = GitRequest::read(&read_stdin("the request").await?)?;
        let Some((server, chosen)) = self.choose(&request)? else {
            return Ok(Attributes::new());
        };
        let credential = self.credential(&request, &chosen).await?;
        if let (Some((user, _)), Some(wanted)) = (credential.basic(), &request.username)
            && user != *wanted
        {
            return Ok(Attributes::new());
        }
        // A password does not depend on git, so there is nothing to renew.
        let is_final = credential.basic().is_some() || is_repeated(&request);
        self.answer(&request, &server, &credential, is_final)
    }

    /// The profile for the request; `None` if it is for a server or a user of others.
    fn choose(&self, request: &GitRequest) -> Result<Option<(Server, Chosen)>, CliError> {
        let Some(server) = request.server() else {
            return Ok(None);
        };
        let chosen = self.options.choose(&server)?;
        Ok(chosen.map(|chosen| (server, chosen)))
    }

    async fn credential(
        &self,
        request: &GitRequest,
        chosen: &Chosen,
    ) -> Result<Credential, CliError> {
        if request.state(RENEWED).is_some() {
            return Err(CliError::new(
                ExitCode::NoToken,
                format!(
                    "the server has rejected a new token of the profile {} too; check the rights of its account",
                    chosen.profile.name()
                ),
            ));
        }
        let Some(rejected) = request.state(FIRST) else {
            // RFC 6750 §3.1: a request without a token gets no error code, so git has sent one.
            return match request.challenges().invalid_token() {
                true => chosen.renewed().await,
                false => chosen.credential().await,
            };
        };
        if let Some(step_up) = request.step_up() {
            return Err(CliError::new(ExitCode::NoToken, step_up.to_string()));
        }
        let is_rejected = |credential: &Credential| fingerprint(credential) == rejected;
        chosen.credential_after(is_rejected).await
    }

    fn answer(
        &self,
        request: &GitRequest,
        server: &Server,
        credential: &Credential,
        is_final: bool,
    ) -> Result<Attributes, CliError> {
        let user = self.user(request, server);
        let mut attributes = Attributes::new();
        let mut set = |name, value: &str| attributes.push((name, value.to_owned()));
        for capability in ["authtype", "state"] {
            if request.can(capability) {
                set("capability[]", capability);
            }
        }
        if request.can("authtype") {
            let (scheme, text) = authorization(request, credential, &user)?;
            set("authtype", &scheme);
            set("credential", &text);
            set("ephemeral", "1");
        } else if let Some((user, password)) = credential.basic() {
            set("username", &user);
            set("password", &password);
        } else {
            credential.scheme().ok_or_else(unfit)?;
            set("username", &user);
            set("password", credential.text());
        }
        if let Some(time) = credential.expiry_in_unix_time() {
            set("password_expiry_utc", &time.to_string());
        }
        if request.can("state") && credential.basic().is_none() {
            let kind = if is_final { RENEWED } else { FIRST };
            set("state[]", &format!("{kind}{}", fingerprint(credential)));
            if !is_final {
                // git then asks again after a 401, and says with the state which token was rejected.
                set("continue", "1");
            }
        }
        Ok(attributes)
    }

    fn user(&self, request: &GitRequest, server: &Server) -> String {
        let given = self.username.as_deref().or(request.username.as_deref());
        let user = given.unwrap_or_else(|| username::for_git(server.host()));
        user.to_owned()
    }

    /// The server has rejected this credential. If it is ours and still the current one, it is renewed (T8).
    async fn erase(&self) -> Result<(), CliError> {
        let request = GitRequest::read(&read_stdin("the credential").await?)?;
        let Some(rejected) = sent_text(&request) else {
            return Ok(());
        };
        // A second renewal in one run of git is of no use.
        if request.state(RENEWED).is_some() || request.step_up().is_some() {
            return Ok(());
        }
        let Some((_, chosen)) = self.choose(&request)? else {
            return Ok(());
        };
        let is_rejected = |credential: &Credential| match credential.basic() {
            Some((_, password)) => password == rejected,
            None => credential.text() == rejected,
        };
        chosen.credential_after(is_rejected).await.map(drop)
    }
}

type Attributes = Vec<(&'static str, String)>;

fn lines(attributes: &Attributes) -> String {
    let lines = attributes.iter();
    lines
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect()
}

/// Whether git asks once more in the same run, after a rejection.
fn is_repeated(request: &GitRequest) -> bool {
    request.state(FIRST).is_some() || request.challenges().invalid_token()
}

/// The scheme and what follows it. A server that takes no such scheme, and takes a user and a password, gets those.
fn authorization(
    request: &GitRequest,
    credential: &Credential,
    user: &str,
) -> Result<(String, String), CliError> {
    let own = credential.scheme().ok_or_else(unfit)?;
    let challenges = request.challenges();
    match challenges.find(own).is_none() && challenges.find("basic").is_some() {
        true => {
            let text = Token::basic(user, credential.text())?.expose().to_owned();
            Ok(("Basic".to_owned(), text))
        }
        false => Ok((own.to_owned(), credential.text().to_owned())),
    }
}

/// The password or token that git sent.
fn sent_text(request: &GitRequest) -> Option<String> {
    match (&request.authtype, &request.credential, &request.password) {
        (Some(scheme), Some(text), _) if scheme.eq_ignore_ascii_case("basic") => {
            let pair = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
            Some(pair.split_once(':')?.1.to_owned())
        }
        (_, Some(text), _) => Some(text.clone()),
        (_, None, password) => password.clone(),
    }
}

fn unfit() -> CliError {
    CliError::usage("git can send only `Authorization`, and this credential is in another header")
}

/// The state of the first credential in a run of git, and of one that may not be followed by another; a fingerprint follows.
const FIRST: &str = "keyfob:1:";
const RENEWED: &str = "keyfob:2:";
