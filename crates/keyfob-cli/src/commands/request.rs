//! `keyfob request`: sends a request with a token.

mod body;
mod body_options;
pub(crate) mod curl_options;
mod data;
mod destination;
mod failure;
mod form;
mod head;
mod headers;
mod mask;
mod output_options;
mod partial;
mod payload;
mod progress;
mod step_up;
mod streamed;
mod terminal;
mod url;
mod write_out;

use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use ::url::Url;
use clap::Args;
use http::{Method, StatusCode};
use keyfob::session::SessionBuilder;
use keyfob::{Origin, Profile, RetryPolicy, Session};
use reqwest::Response;

use crate::commands::request::body::RequestBody;
use crate::commands::request::body_options::BodyOptions;
use crate::commands::request::curl_options::NeedlessOptions;
use crate::commands::request::destination::Destination;
use crate::commands::request::head::Head;
use crate::commands::request::headers::HeaderOptions;
use crate::commands::request::mask::Mask;
use crate::commands::request::output_options::OutputOptions;
use crate::commands::request::progress::Progress;
use crate::commands::request::write_out::Facts;
use crate::options::token::{TokenChoice, TokenOptions, seconds};
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::{print_notice, print_stderr, print_stdout};

/// Send a request with a token, and print the response
///
/// The token goes to the origin (scheme, host and port) of the URL and to no other: a redirect to another origin is
/// followed without it. After a 401, the token is renewed and the request is sent once more.
///
/// keyfob retries what is safe to retry: a request that was never sent, any method after a 429 or 503 with Retry-After, and GET,
/// HEAD, OPTIONS, PUT and DELETE (and others with --idempotent or an Idempotency-Key) after a timeout, a broken
/// connection, or a 408, 425, 429, 500, 502, 503 or 504. A body from standard input or a pipe is sent only once.
#[derive(Args)]
#[command(allow_missing_positional = true)]
pub(crate) struct Request {
    /// The method [default: POST with a body, PUT with --upload-file, otherwise GET]
    #[arg(value_parser = method)]
    method: Option<Method>,
    /// The URL; without a scheme it gets `https://`, or `http://` for this machine
    ///
    /// With --profile, a URL without a scheme is relative to the profile's base_url.
    url: String,

    /// The method, under the name of curl's option
    #[arg(short = 'X', long = "request", value_name = "METHOD", value_parser = method, conflicts_with = "method", hide = true)]
    curl_method: Option<Method>,
    /// Send HEAD, and print the status and the headers of the response
    #[arg(short = 'I', long, conflicts_with_all = ["method", "curl_method"])]
    head: bool,
    #[command(flatten)]
    headers: HeaderOptions,
    /// Add a parameter to the URL's query
    #[arg(long, value_name = "NAME=VALUE", value_parser = headers::pair)]
    query: Vec<(String, String)>,
    #[command(flatten)]
    body: BodyOptions,
    #[command(flatten)]
    output: OutputOptions,

    /// The timeout for everything, in seconds [default: none, but 20 seconds without progress]
    #[arg(short = 'm', long, alias = "max-time", value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// How many times to retry [default: the profile's setting, or 3]
    #[arg(long, value_name = "TIMES")]
    retry: Option<u32>,
    /// Retry this request like a GET; say so only if sending it twice has the same effect as sending it once
    #[arg(long)]
    idempotent: bool,
    /// How many redirects to follow [default: the profile's setting, or 10]
    #[arg(long, alias = "max-redirs", value_name = "TIMES")]
    max_redirects: Option<u32>,
    /// Send the token over plain http to another machine, so that anyone on the network can read and use it
    ///
    /// It has no effect on a profile, which has its own key for this, allow_plain_http.
    #[arg(long)]
    allow_plain_http: bool,

    #[command(flatten)]
    token: TokenOptions,
    #[command(flatten)]
    _needless: NeedlessOptions,
}

impl Request {
    /// With `verbose` above 0, the heads of request and response are shown.
    pub(crate) async fn run(self, verbose: u8) -> Result<ExitCode, CliError> {
        let Some(timeout) = self.timeout else {
            return self.exchange(verbose).await;
        };
        match tokio::time::timeout(timeout, self.exchange(verbose)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(CliError::new(
                ExitCode::TimedOut,
                format!(
                    "the request took longer than {} s; set a longer --timeout",
                    timeout.as_secs_f64()
                ),
            )),
        }
    }

    /// True if a failure is reported by the exit code alone.
    pub(crate) fn hides_errors(&self) -> bool {
        self.output.hides_errors()
    }

    async fn exchange(self, verbose: u8) -> Result<ExitCode, CliError> {
        let begun = Instant::now();
        let named = self.token.named_profile()?;
        let base = named.as_ref().and_then(Profile::base_url);
        let data = self.data_for_query().await?;
        let url = url::resolve(&self.url, &self.query, data.as_deref(), base)?;
        let chosen = self.token.choose_for(named, &url)?;
        if let (1.., TokenChoice::Profile(profile)) = (verbose, &chosen) {
            print_stderr(format!("* profile {}\n", profile.name()));
        }
        let session = self.session(&chosen, &Origin::from_url(&url)?)?;
        let (body, destination) = self.open_files(&url).await?;
        let mut head = Head {
            method: self.method(&body),
            headers: headers::all(&body, &self.headers)?,
            url,
        };
        destination.add_to(&mut head.headers);
        let method = head.method.clone();
        let response = self.send(&session, head, body, verbose).await?;
        self.show_head(&response, &method)?;
        if let Some(advice) = step_up::advice(&response, &chosen, &self.token.config_arguments())
            && !self.hides_errors()
        {
            print_notice(format!("keyfob: {advice}\n"));
        }
        let mut mask = Mask::default();
        if let Some(lease) = session.tokens().ready() {
            mask.add(lease.token());
        }
        let continues = self.output.continue_at.is_some();
        // A server responds with it if nothing is missing.
        let is_end = continues && response.status() == StatusCode::RANGE_NOT_SATISFIABLE;
        let failure = failure::of(&response, &mask).filter(|_| !is_end);
        let fails = self.output.fail || continues;
        let facts = Facts::of(&response, &method);
        let received = match failure {
            Some(_) if fails => 0,
            _ => destination.receive(response).await?,
        };
        if let Some(format) = &self.output.write_out {
            print_stdout(format.filled(&facts, received, begun.elapsed()))?;
        }
        match failure {
            Some(failure) if fails || self.output.fail_with_body => Err(failure),
            _ => Ok(ExitCode::Done),
        }
    }

    fn show_head(&self, response: &Response, method: &Method) -> Result<(), CliError> {
        if self.output.include || method == Method::HEAD {
            print_stdout(head::response(response, stdout().is_terminal()))?;
        }
        match self.output.dump_header.as_deref() {
            None => Ok(()),
            Some(path) if path == "-" => {
                print_stdout(head::response(response, stdout().is_terminal()))
            }
            Some(path) => std::fs::write(path, head::response(response, false))
                .map_err(|error| CliError::unwritable(path.display(), &error)),
        }
    }

    /// The data for the query, with `--get`.
    async fn data_for_query(&self) -> Result<Option<String>, CliError> {
        match self.body.get {
            false => Ok(None),
            true => {
                let options = self.body.clone();
                on_own_thread(move || data::query(&options)).await
            }
        }
    }

    async fn open_files(&self, url: &Url) -> Result<(RequestBody, Destination), CliError> {
        let name = self.output.remote_name.then(|| url::file_name(url));
        let output = self.output.file(name.transpose()?)?;
        let body = self.body.clone();
        let silent = self.output.hides_progress();
        let continues = self.output.continue_at.is_some().then(|| url.clone());
        on_own_thread(move || {
            let body = RequestBody::read(&body)?;
            let destination = match (output, continues) {
                (Some(path), None) => Destination::file(&path, silent)?,
                (Some(path), Some(url)) => Destination::continued(&path, &url, silent)?,
                (None, _) => Destination::stdout(silent),
            };
            Ok((body, destination))
        })
        .await
    }

    async fn send(
        &self,
        session: &Session,
        head: Head,
        body: RequestBody,
        verbose: u8,
    ) -> Result<Response, CliError> {
        let mut mask = Mask::default();
        if verbose > 0 {
            let lease = session.tokens().lease(None).await?;
            mask.add(lease.token());
            print_stderr(head.display(&lease, body.length(), &mask));
        }
        let mut request = session
            .request(head.method, head.url.as_str())
            .headers(head.headers);
        if self.idempotent {
            request = request.idempotent();
        }
        let upload = Progress::new(!self.output.hides_progress());
        let response = body.add_to(request, upload.clone()).send().await;
        upload.clear();
        let response = response?;
        if verbose > 0 {
            if let Some(lease) = session.tokens().ready() {
                mask.add(lease.token());
            }
            print_stderr(head::display_response(&response, &mask));
        }
        Ok(response)
    }

    fn method(&self, body: &RequestBody) -> Method {
        if self.head {
            return Method::HEAD;
        }
        let method = self.method.as_ref().or(self.curl_method.as_ref());
        method.cloned().unwrap_or_else(|| body.default_method())
    }

    fn session(&self, chosen: &TokenChoice, origin: &Origin) -> Result<Session, CliError> {
        let (mut session, mut retry) = match chosen {
            TokenChoice::Profile(profile) => (profile.session_builder()?, profile.retry().clone()),
            TokenChoice::Cache(tokens) => (
                self.bind(origin, Session::builder(tokens.clone()))?,
                RetryPolicy::default(),
            ),
        };
        // A profile has it already.
        if let TokenChoice::Cache(_) = chosen
            && let Some(certificate) = self.token.certificate()?
        {
            session = session.client_certificate(&certificate);
        }
        if let Some(file) = self.token.ca_file() {
            session = session.ca_file(file);
        }
        if let Some(times) = self.retry {
            retry = retry.attempts(times.saturating_add(1));
        }
        if let Some(times) = self.max_redirects {
            session = session.redirects(times);
        }
        if let Some(timeout) = self.timeout {
            retry = retry.total(timeout);
            // One second more, so that the error names `--timeout`.
            session = session.timeout(timeout.saturating_add(Duration::from_secs(1)));
        }
        Ok(session.retry(retry).build()?)
    }

    /// Binds the token to the origin of the URL, because there is no profile that names its origins.
    fn bind(&self, origin: &Origin, session: SessionBuilder) -> Result<SessionBuilder, CliError> {
        if origin.is_https() || origin.is_loopback() {
            return Ok(session.origin(origin.to_string()));
        }
        if self.allow_plain_http {
            return Ok(session.allow_plain_http(origin.to_string()));
        }
        Err(CliError::new(
            ExitCode::Origin,
            format!(
                "plain http to {origin} would show the token to the network; use https or --allow-plain-http"
            ),
        ))
    }
}

/// Opens or reads files on a thread for blocking work, because opening a named pipe blocks until its other end is open.
async fn on_own_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CliError> + Send + 'static,
) -> Result<T, CliError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| CliError::failed("the files cannot be opened", &error))?
}

/// Parses a method, in upper or lower case.
fn method(text: &str) -> Result<Method, &'static str> {
    Method::from_bytes(text.to_ascii_uppercase().as_bytes())
        .map_err(|_| "give a method such as GET")
}
