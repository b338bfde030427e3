//! `keyfob request`: one request with a token on it.

mod body;
mod destination;
mod head;
mod headers;
mod mask;
mod url;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use http::Method;
use keyfob::session::SessionBuilder;
use keyfob::{Origin, Profile, RetryPolicy, Session};
use reqwest::Response;

use crate::commands::request::body::Content;
use crate::commands::request::destination::Destination;
use crate::commands::request::head::Head;
use crate::commands::request::mask::Mask;
use crate::options::token::{TokenChoice, TokenOptions, seconds};
use crate::output::error::CliError;
use crate::output::exit_code::{ExitCode, table};
use crate::output::log;
use crate::output::print::{print_stderr, print_stdout};

/// Send a request with a token on it, and print the answer
///
/// The token goes to the origin (scheme, host and port) of the URL and to no other: a redirect that leads elsewhere is
/// followed without it. A 401 has the token renewed, and the request sent once more.
///
/// What is safe to repeat is repeated: a request that never left, any method after a 429 or 503 with Retry-After, and GET,
/// HEAD, OPTIONS, PUT and DELETE (and others with --idempotent or an Idempotency-Key) after a timeout, a broken
/// connection, or a 408, 425, 429, 500, 502, 503 or 504. A body that is streamed is sent once only.
#[derive(Args)]
#[command(allow_missing_positional = true, after_long_help = table())]
pub(crate) struct Request {
    /// The method [default: POST if there is a body, PUT for --upload-file, else GET]
    #[arg(value_parser = method)]
    method: Option<Method>,
    /// Where to; `https://` if it names no scheme, and `http://` on this machine
    ///
    /// With --profile, a URL without a scheme is relative to the base_url of the profile.
    url: String,

    /// The method, as curl has it
    #[arg(short = 'X', long = "request", value_name = "METHOD", value_parser = method, conflicts_with = "method", hide = true)]
    method_of_curl: Option<Method>,
    /// Add a header; `Name;` sends it empty, `Name:` leaves out one that keyfob would add
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Add to the URL's query
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = headers::pair)]
    query: Vec<(String, String)>,
    /// Send this text, a file, or standard input (`@-`); given more than once, the parts are joined by `&`
    ///
    /// It is sent as it is, as application/x-www-form-urlencoded unless a header says otherwise. A file of more than 1 MiB
    /// and standard input are streamed.
    #[arg(short, long, value_name = "TEXT|@FILE|@-", group = "content")]
    data: Vec<String>,
    /// Send this JSON, a file, or standard input, and ask for JSON
    #[arg(long, value_name = "TEXT|@FILE|@-", group = "content")]
    json: Option<String>,
    /// Send this file by PUT; one of more than 1 MiB is streamed
    #[arg(short = 'T', long, value_name = "FILE", group = "content")]
    upload_file: Option<PathBuf>,

    /// Write the answer's body to this file
    ///
    /// It is written beside it first and takes its name when it is whole, so that a download that is cut short
    /// leaves what was there before.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the answer's status and headers as well, to standard output
    #[arg(short, long)]
    include: bool,
    /// Show the heads of request and answer on standard error, without secrets; twice, also renewals and retries
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// No progress bar, and no word about a failure
    #[arg(short, long)]
    pub(crate) silent: bool,
    /// Take a status of 400 or more for a failure, and do not print the answer
    #[arg(short, long)]
    fail: bool,

    /// How long all may take, in seconds [default: no limit, but 20 seconds in which nothing moves]
    #[arg(short = 'm', long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// How often to repeat what is safe to repeat [default: as the profile says, or 3]
    #[arg(long, value_name = "TIMES")]
    retry: Option<u32>,
    /// Sending it twice has the effect of sending it once: repeat it like a GET
    #[arg(long)]
    idempotent: bool,
    /// How many redirects to follow [default: as the profile says, or 10]
    #[arg(long, value_name = "TIMES")]
    max_redirects: Option<u32>,
    /// Send the token over plain http to another machine; everyone on the way can read and use it then
    ///
    /// A profile has a key for that, allow_plain_http, and is not changed by this option.
    #[arg(long)]
    allow_plain_http: bool,

    #[command(flatten)]
    token: TokenOptions,
}

impl Request {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        if self.verbose > 1 {
            log::show();
        }
        let Some(limit) = self.timeout else {
            return self.exchange().await;
        };
        match tokio::time::timeout(limit, self.exchange()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(CliError::new(
                ExitCode::TimedOut,
                format!("not done within {limit:?}; give it longer with --timeout"),
            )),
        }
    }

    async fn exchange(self) -> Result<ExitCode, CliError> {
        let named = self.token.named_profile()?;
        let base = named.as_ref().and_then(Profile::base_url);
        let url = url::read(&self.url, &self.query, base)?;
        let chosen = self.token.choose_for(named, &url)?;
        if let (1.., TokenChoice::Profile(profile)) = (self.verbose, &chosen) {
            print_stderr(format!("* profile {}\n", profile.name()));
        }
        let session = self.session(&chosen, &Origin::from_url(&url)?)?;
        let (content, output) = self.open_files().await?;
        let head = Head {
            method: self.method(&content),
            headers: headers::all(&content, &self.header)?,
            url,
        };
        let is_head = head.method == Method::HEAD;
        let response = self.send(&session, head, content).await?;
        if self.include || is_head {
            print_stdout(head::of_response(&response))?;
        }
        let status = response.status();
        if self.fail && (status.is_client_error() || status.is_server_error()) {
            return Err(CliError::new(
                ExitCode::Status,
                format!("the server answered {status}"),
            ));
        }
        output.receive(response).await?;
        Ok(ExitCode::Done)
    }

    /// Opens what is read and what is written, beside: a pipe can be opened when somebody holds its other end.
    async fn open_files(&self) -> Result<(Content, Destination), CliError> {
        let (data, json) = (self.data.clone(), self.json.clone());
        let (upload, output) = (self.upload_file.clone(), self.output.clone());
        let silent = self.silent;
        let opened = tokio::task::spawn_blocking(move || {
            let content = Content::read(&data, json.as_deref(), upload.as_deref())?;
            let output = match output {
                Some(path) => Destination::file(&path, silent)?,
                None => Destination::stdout(),
            };
            Ok((content, output))
        });
        opened
            .await
            .map_err(|fault| CliError::failed("the files cannot be opened", &fault))?
    }

    async fn send(
        &self,
        session: &Session,
        head: Head,
        content: Content,
    ) -> Result<Response, CliError> {
        let mut mask = Mask::default();
        if self.verbose > 0 {
            let lease = session.tokens().lease(None).await?;
            mask.add(lease.token());
            print_stderr(head.shown(&lease, content.length(), &mask));
        }
        let mut request = session
            .request(head.method, head.url.as_str())
            .headers(head.headers);
        if self.idempotent {
            request = request.idempotent();
        }
        if let Some(body) = content.into_body() {
            request = request.body(body);
        }
        let response = request.send().await?;
        if self.verbose > 0 {
            if let Some(lease) = session.tokens().ready() {
                mask.add(lease.token());
            }
            print_stderr(head::shown_response(&response, &mask));
        }
        Ok(response)
    }

    fn method(&self, content: &Content) -> Method {
        let said = self.method.as_ref().or(self.method_of_curl.as_ref());
        said.cloned().unwrap_or_else(|| content.usual_method())
    }

    fn session(&self, chosen: &TokenChoice, origin: &Origin) -> Result<Session, CliError> {
        let (mut session, mut retry) = match chosen {
            TokenChoice::Profile(profile) => (profile.session_builder()?, profile.retry().clone()),
            TokenChoice::Options(tokens) => (
                self.bound_to(origin, Session::builder(tokens.clone()))?,
                RetryPolicy::default(),
            ),
        };
        if let Some(times) = self.retry {
            retry = retry.attempts(times.saturating_add(1));
        }
        if let Some(times) = self.max_redirects {
            session = session.redirects(times);
        }
        if let Some(limit) = self.timeout {
            retry = retry.total(limit);
            // A moment more, so that it is `--timeout` that ends it, and is named.
            session = session.timeout(limit.saturating_add(Duration::from_secs(1)));
        }
        Ok(session.retry(retry).build()?)
    }

    /// Without a profile the token goes where the URL says.
    fn bound_to(
        &self,
        origin: &Origin,
        session: SessionBuilder,
    ) -> Result<SessionBuilder, CliError> {
        if origin.is_https() || origin.is_loopback() {
            return Ok(session.origin(origin.to_string()));
        }
        if self.allow_plain_http {
            return Ok(session.allow_plain_http(origin.to_string()));
        }
        Err(CliError::new(
            ExitCode::Origin,
            format!(
                "plain http to {origin} would show the token to the network; use https, or --allow-plain-http"
            ),
        ))
    }
}

/// Reads a method, in capitals or not.
fn method(text: &str) -> Result<Method, &'static str> {
    Method::from_bytes(text.to_ascii_uppercase().as_bytes()).map_err(|_| "give a word such as GET")
}
