//! A command that prints a token: `gh auth token`, `gcloud`, `az`, or any credential helper.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fmt, io, path};

use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

mod capture;
pub(crate) mod redact;
pub(crate) mod reply;
mod request;
mod run;
mod shown_stderr;
#[cfg(test)]
#[cfg(unix)]
mod tests;

use crate::error::error::Error;
use crate::error::shown_duration::shown_duration;
use crate::error::shown_name::shown_name;
use crate::source::command::redact::redact;
pub use crate::source::command::request::HelperRequest;
use crate::source::command::request::{HelperInput, git_erasures};
use crate::source::command::run::{Ending, Events, Limits, Run, run};
use crate::source::command::shown_stderr::ShownStderr;
use crate::source::source::{Reason, TokenFuture, TokenRequest, TokenSource};
use crate::source::token_text::reported_failure;

/// The token that a command prints. The command runs each time a token is needed.
///
/// Any program that prints a token works: the token alone on one line, or the format of a credential helper of Bazel, Cargo,
/// Docker, git, Kubernetes or Terraform, of the Azure CLI, of a Google executable source, or of OAuth (RFC 6749 §5.1).
/// The format is detected, and so is the name of the expiry; one that cannot be read is an error that names its field.
/// A helper that needs a request gets it through [`request`](Self::request).
///
/// * No shell is involved. The command inherits the environment and starts in a [directory](Self::directory) that does not
///   depend on the caller. It cannot ask a person at the terminal: if it tries, the system stops it, and the timeout kills it.
/// * It is killed with its process group after the [timeout](Self::timeout), if it prints [too much](Self::output_limit), and
///   if the fetch is dropped. On systems without process groups it is killed alone. If the command exits by itself, a
///   process that it leaves running is killed only if it keeps the output open. Nothing of this process waits for it.
/// * The standard output is never part of an error. The last 500 characters of the standard error are, with everything
///   masked that looks like a secret.
/// * If this process's standard error is a terminal, each line that the command writes to its own is shown there at once,
///   such as "open this URL", with everything masked that looks like a secret. [`quiet`](Self::quiet) turns that off.
/// * An exit status other than 0 gives an [`Unavailable`](crate::ErrorKind::Unavailable) error. Output that is not a token
///   gives a [`Malformed`](crate::ErrorKind::Malformed) error.
///
/// ```
/// use std::time::Duration;
/// use keyfob::CommandToken;
///
/// let source = CommandToken::new(["gh", "auth", "token"])?.timeout(Duration::from_secs(10));
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct CommandToken {
    pub(crate) program: OsString,
    /// The program, on a path that does not depend on the directory.
    executable: OsString,
    arguments: Vec<OsString>,
    limits: Limits,
    stderr: StderrUse,
    environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
    request: HelperRequest,
    input: HelperInput,
    erases_rejected: bool,
}

impl CommandToken {
    /// The default of [`timeout`](Self::timeout).
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// The default of [`output_limit`](Self::output_limit), in bytes.
    pub const OUTPUT_LIMIT: usize = 1024 * 1024;

    /// Runs this program with these arguments; the first item is the program.
    ///
    /// A program without a slash is searched in `PATH` at each run. A relative path is made absolute now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if there is no program, or an argument contains a NUL character.
    pub fn new<A: Into<OsString>>(argv: impl IntoIterator<Item = A>) -> Result<Self, Error> {
        let mut argv = argv.into_iter().map(Into::into);
        let Some(program) = argv.next().filter(|program| !program.is_empty()) else {
            return Err(Error::input(
                "the command is empty; give the program and its arguments, such as `gh auth token`",
            ));
        };
        let arguments: Vec<_> = argv.collect();
        if arguments.iter().chain([&program]).any(|part| has_nul(part)) {
            return Err(Error::input("the command contains a NUL character"));
        }
        Ok(Self {
            executable: independent_of_directory(&program)?,
            program,
            arguments,
            limits: Limits {
                timeout: Self::TIMEOUT,
                output: Self::OUTPUT_LIMIT,
            },
            stderr: StderrUse::ShownAtTerminal,
            environment: Vec::new(),
            directory: default_directory(),
            request: HelperRequest::None,
            input: HelperInput::default(),
            erases_rejected: false,
        })
    }

    /// Sets how long the command may run before it is killed.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Sets how many bytes the command may print before it is killed.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.limits.output = bytes;
        self
    }

    /// Shows nothing of the command's standard error while it runs. For a program that draws on the whole terminal.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.stderr = StderrUse::ForErrors;
        self
    }

    /// Sets an environment variable of the command.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the name is empty or contains `=`, or either contains a NUL
    /// character.
    pub fn env(
        mut self,
        name: impl Into<OsString>,
        value: impl Into<OsString>,
    ) -> Result<Self, Error> {
        let (name, value) = (name.into(), value.into());
        let odd = name.is_empty() || name.as_encoded_bytes().contains(&b'=');
        if odd || has_nul(&name) || has_nul(&value) {
            return Err(Error::input(
                "the environment variable has no name, a name that contains `=`, or a NUL character",
            ));
        }
        self.environment.push((name, value));
        Ok(self)
    }

    /// Sets the directory in which the command starts; the default is `/`, on Windows the directory for temporary files.
    #[must_use]
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        self.directory = path::absolute(path).unwrap_or_else(|_| path.to_owned());
        self
    }

    /// Sets the request that the helper gets, in its own protocol.
    ///
    /// ```
    /// use keyfob::CommandToken;
    /// use keyfob::source::HelperRequest;
    ///
    /// let source = CommandToken::new(["docker-credential-pass"])?
    ///     .request(HelperRequest::Docker { server: "registry.example.com".into() })?;
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the URL or name cannot be part of such a request.
    pub fn request(mut self, request: HelperRequest) -> Result<Self, Error> {
        self.input = request.to_input()?;
        self.request = request;
        Ok(self)
    }

    /// Tells a helper of git to remove a credential that a server has rejected, before it is asked for another one.
    ///
    /// By default keyfob only asks again, so that a helper loses nothing that a person has given it. The other protocols have no word
    /// for a rejection: their `erase`, `forget` and `logout` remove whatever is stored.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) unless the [request](Self::request) is one of git.
    pub fn erase_rejected(mut self) -> Result<Self, Error> {
        if !matches!(self.request, HelperRequest::Git { .. }) {
            return Err(Error::input(
                "only helpers of git can be told which credential was rejected",
            ));
        }
        self.erases_rejected = true;
        Ok(self)
    }

    /// Runs the command on another thread, and reads what it printed.
    fn run<T: Send + 'static>(
        &self,
        request: &TokenRequest,
        read: impl FnOnce(Zeroizing<Vec<u8>>) -> Result<T, Error> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Error>> {
        let source = self.clone();
        let mut inputs = self.erasures(request);
        inputs.push(self.input.clone());
        // Each run has events of its own: those of one that was given up may come late.
        let (kill_on_drop, events): (Vec<_>, Vec<_>) = inputs.iter().map(|_| Events::new()).unzip();
        let result = request.run_blocking(move || {
            let runs = inputs.iter().zip(&events);
            let outputs = runs.map(|(input, events)| source.output(input, events));
            // Whether an erasure helped shows in what the helper gives after it.
            let last = outputs
                .reduce(|_, later| later)
                .expect("the last input is that of the request");
            last.and_then(read)
        });
        Box::pin(async move {
            // Owned by the future: a fetch that is dropped kills the command.
            let _kill_on_drop = kill_on_drop;
            result.await?
        })
    }

    /// What tells the helper that its credential was rejected.
    fn erasures(&self, request: &TokenRequest) -> Vec<HelperInput> {
        match (&self.request, request.previous()) {
            (HelperRequest::Git { url, with_path }, Some(rejected))
                if self.erases_rejected && request.reason() == Reason::Rejected =>
            {
                git_erasures(url, *with_path, rejected).map_or_else(|_| Vec::new(), Vec::from)
            }
            _ => Vec::new(),
        }
    }

    fn output(&self, input: &HelperInput, events: &Events) -> Result<Zeroizing<Vec<u8>>, Error> {
        let stdin = input.stdin.as_deref();
        let command = self.command(input);
        let shown = match self.stderr {
            StderrUse::ShownAtTerminal => ShownStderr::at_terminal(&self.program),
            StderrUse::ForErrors => None,
        };
        let run = run(command, stdin, self.limits, shown, events);
        self.stdout_of(run.map_err(|fault| self.start_error(fault))?)
    }

    fn command(&self, input: &HelperInput) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .args(&self.arguments)
            .args(&input.arguments)
            .envs(input.environment.iter().cloned())
            // Last, so that the application's own variables win.
            .envs(self.environment.iter().cloned())
            .current_dir(&self.directory);
        command
    }

    fn stdout_of(&self, run: Run) -> Result<Zeroizing<Vec<u8>>, Error> {
        let stderr = || match redact(&run.stderr, &run.stdout) {
            text if text.is_empty() => String::new(),
            text => format!("; it said: {text}"),
        };
        match run.ending {
            Ending::Exited(status) if status.success() => Ok(run.stdout),
            // What the helper reports in its own format says more than the exit status.
            Ending::Exited(status) => Err(match reported_failure(&run.stdout) {
                Some(reported) => self.no_token(&reported, &stderr()),
                None => self.unavailable(format!("failed ({status}){}", stderr())),
            }),
            Ending::TimedOut => Err(self.unavailable(format!(
                "did not end within {} and was killed{}",
                shown_duration(self.limits.timeout),
                stderr()
            ))),
            Ending::OutputTooLong => Err(Error::malformed(format!(
                "the command {} printed more than {} bytes and was killed; it must print the token alone",
                self.shown_program(),
                self.limits.output
            ))),
            Ending::Abandoned => {
                Err(self.unavailable("was killed because the fetch was dropped".into()))
            }
        }
    }

    fn no_token(&self, fault: &Error, stderr: &str) -> Error {
        let program = self.shown_program();
        let message =
            format!("the output of the command {program} holds no token: {fault}{stderr}");
        Error::new(fault.kind(), message)
    }

    /// The program for an error, in quotes. A secret may have been given in its place.
    pub(crate) fn shown_program(&self) -> String {
        format!("{:?}", shown_name(&self.program.to_string_lossy()))
    }

    fn unavailable(&self, what: String) -> Error {
        Error::unavailable(format!("the command {} {what}", self.shown_program()))
    }

    fn start_error(&self, fault: io::Error) -> Error {
        let what = match fault.kind() {
            io::ErrorKind::NotFound if !self.directory.is_dir() => {
                format!("cannot start in {:?}, which is not a directory", self.directory)
            }
            io::ErrorKind::NotFound => {
                "was not found; install it, give its full path, or check the first line of the script".into()
            }
            io::ErrorKind::PermissionDenied => {
                "may not be run by this user; make it executable with `chmod +x`".into()
            }
            _ => "could not be run".to_owned(),
        };
        self.unavailable(what).caused_by(fault)
    }
}

/// What is done with the standard error of a command, besides its end in errors.
#[derive(Clone, Copy)]
enum StderrUse {
    ShownAtTerminal,
    ForErrors,
}

/// What profiles need, which read other secrets from commands as well.
impl CommandToken {
    /// A text that differs for different commands and requests. It must not be shown, because arguments may be secrets.
    pub(crate) fn identity(&self) -> String {
        match &self.request {
            HelperRequest::None => format!("{:?}", self.words()),
            request => format!("{:?} {request:?}", self.words()),
        }
    }

    /// The program and its arguments.
    fn words(&self) -> Vec<&OsStr> {
        let words = std::iter::once(&self.program).chain(&self.arguments);
        words.map(OsString::as_os_str).collect()
    }

    /// All that the command prints, unchanged: for a secret that is not a token.
    pub(crate) fn text(
        &self,
        request: &TokenRequest,
    ) -> BoxFuture<'static, Result<Zeroizing<String>, Error>> {
        let source = self.clone();
        self.run(request, move |stdout| {
            let text = str::from_utf8(&stdout).map_err(|_| {
                Error::malformed(format!(
                    "the command {} printed something that is not UTF-8 text",
                    source.shown_program()
                ))
            })?;
            Ok(Zeroizing::new(text.to_owned()))
        })
    }
}

impl TokenSource for CommandToken {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        let (source, type_use) = (self.clone(), request.type_use);
        self.run(request, move |stdout| {
            let token = reply::read(&source.request, &stdout, type_use);
            token.map_err(|fault| source.no_token(&fault, ""))
        })
    }
}

/// Arguments and environment are not shown, because they may hold secrets.
impl fmt::Debug for CommandToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandToken")
            .field("program", &self.program)
            .field("timeout", &self.limits.timeout)
            .field("output_limit", &self.limits.output)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// Makes a relative path absolute, because the command starts in another directory. A bare name is searched in `PATH`.
fn independent_of_directory(program: &OsStr) -> Result<OsString, Error> {
    if !has_separator(program) {
        return Ok(program.to_owned());
    }
    let absolute = path::absolute(program).map_err(|fault| {
        Error::input(
            "the current directory, to which the path of the command is relative, cannot be read",
        )
        .caused_by(fault)
    })?;
    Ok(absolute.into_os_string())
}

fn has_separator(program: &OsStr) -> bool {
    let mut bytes = program.as_encoded_bytes().iter();
    bytes.any(|byte| path::is_separator(char::from(*byte)))
}

fn has_nul(text: &OsStr) -> bool {
    text.as_encoded_bytes().contains(&0)
}

/// A directory that exists and does not depend on where the program was started.
fn default_directory() -> PathBuf {
    match cfg!(unix) {
        true => PathBuf::from("/"),
        false => std::env::temp_dir(),
    }
}
