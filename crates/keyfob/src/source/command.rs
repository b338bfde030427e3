//! A command that prints a token: `gh auth token`, `gcloud`, `az`, or any credential helper.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;
use std::{fmt, io, path};

use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

mod capture;
pub(crate) mod output;
#[cfg(feature = "profiles")]
mod raw_output;
mod redact;
mod request;
mod run;
#[cfg(test)]
#[cfg(unix)]
mod tests;

use crate::error::error::Error;
use crate::source::command::output::{parse, reported_failure};
use crate::source::command::redact::redact;
pub use crate::source::command::request::HelperRequest;
use crate::source::command::request::Spelled;
use crate::source::command::run::{Ending, Inbox, Limits, Run, run};
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::token::Token;

/// The token that a command prints, run each time a token is needed.
///
/// Any program that prints a token works: alone on one line, or in the format of a credential helper of Bazel, Cargo,
/// Docker, git, Kubernetes or Terraform, of the Azure CLI, of a Google executable source, or of OAuth (RFC 6749 §5.1).
/// The format is recognised by itself. A helper that expects a question gets it through [`request`](Self::request).
///
/// * No shell is involved. The command inherits the environment, starts in a [directory](Self::directory) that is not
///   the caller's, and cannot ask a person at the terminal: one that tries is stopped, and killed in the end.
/// * It is killed, with all that it started in its process group, when its [time](Self::timeout) is over, when it
///   prints [too much](Self::output_limit), and when the fetch is dropped. Where there are no process groups, it is
///   killed alone. An agent that it leaves running when it ends by itself is left alone unless it keeps the output open.
/// * What it prints to its standard output is never in an error. What it says on standard error is, at most the last
///   500 characters, with everything masked that looks like a secret.
/// * A status other than 0 is an [`Unavailable`](crate::ErrorKind::Unavailable) token, output that is no token a
///   [`Malformed`](crate::ErrorKind::Malformed) one.
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
    program: OsString,
    executable: OsString,
    arguments: Vec<OsString>,
    timeout: Duration,
    output_limit: usize,
    environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
    request: Spelled,
}

impl CommandToken {
    /// How long the command may run, unless [set](Self::timeout) otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// How much the command may print, in bytes, unless [set](Self::output_limit) otherwise.
    pub const OUTPUT_LIMIT: usize = 1024 * 1024;

    /// Runs this program with these arguments; the first item is the program.
    ///
    /// A program without a slash is looked up in `PATH` each time; a relative path is made absolute now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if there is no program, or an argument has a NUL inside.
    pub fn new<A: Into<OsString>>(argv: impl IntoIterator<Item = A>) -> Result<Self, Error> {
        let mut argv = argv.into_iter().map(Into::into);
        let program = argv.next().filter(|program| !program.is_empty());
        let Some(program) = program else {
            return Err(Error::input(
                "the command is empty; give the program and its arguments, such as `gh auth token`",
            ));
        };
        let arguments: Vec<_> = argv.collect();
        if arguments.iter().chain([&program]).any(|part| has_nul(part)) {
            return Err(Error::input("the command has a NUL character inside"));
        }
        Ok(Self {
            executable: found_from_anywhere(&program)?,
            program,
            arguments,
            timeout: Self::TIMEOUT,
            output_limit: Self::OUTPUT_LIMIT,
            environment: Vec::new(),
            directory: neutral::directory(),
            request: Spelled::default(),
        })
    }

    /// Sets how long the command may run before it is killed.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many bytes the command may print before it is killed.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Sets an environment variable of the command.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the name is empty or has `=` inside, or either has a NUL.
    pub fn env(
        mut self,
        name: impl Into<OsString>,
        value: impl Into<OsString>,
    ) -> Result<Self, Error> {
        let (name, value) = (name.into(), value.into());
        let odd = name.is_empty() || name.as_encoded_bytes().contains(&b'=');
        if odd || has_nul(&name) || has_nul(&value) {
            return Err(Error::input(
                "the environment variable has no name, or one with `=` inside, or a NUL character",
            ));
        }
        self.environment.push((name, value));
        Ok(self)
    }

    /// Sets the directory in which the command starts; without it, `/`.
    #[must_use]
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        self.directory = path::absolute(path).unwrap_or_else(|_| path.to_owned());
        self
    }

    /// Sets what the helper is asked, in the words of its own protocol.
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
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the URL or name cannot be put to a helper.
    pub fn request(mut self, request: HelperRequest) -> Result<Self, Error> {
        self.request = request.spell()?;
        Ok(self)
    }

    /// Runs the command beside, and reads what it printed.
    fn run<T: Send + 'static>(
        &self,
        request: &TokenRequest,
        read: impl FnOnce(Zeroizing<Vec<u8>>) -> Result<T, Error> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Error>> {
        let (leash, inbox) = Inbox::new();
        let source = self.clone();
        let answer = request.run_blocking(move || source.output(&inbox).and_then(read));
        Box::pin(async move {
            let _leash = leash;
            answer.await?
        })
    }

    fn output(&self, inbox: &Inbox) -> Result<Zeroizing<Vec<u8>>, Error> {
        let limits = Limits {
            time: self.timeout,
            output: self.output_limit,
        };
        let stdin = self.request.stdin.as_deref();
        let outcome = run(self.command(), stdin, limits, inbox);
        let run = outcome.map_err(|fault| self.did_not_start(fault))?;
        self.judge(run)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .args(&self.arguments)
            .args(&self.request.arguments)
            .envs(self.request.environment.clone())
            .envs(self.environment.iter().cloned())
            .current_dir(&self.directory);
        command
    }

    fn judge(&self, run: Run) -> Result<Zeroizing<Vec<u8>>, Error> {
        let said = || match redact(&run.stderr, &run.stdout) {
            text if text.is_empty() => String::new(),
            text => format!("; it said: {text}"),
        };
        match run.ending {
            Ending::Exited(status) if status.success() => Ok(run.stdout),
            Ending::Exited(status) => Err(self.exited(status, &run, &said())),
            Ending::OutOfTime => Err(self.unavailable(format!(
                "did not end within {:?} and was killed{}",
                self.timeout,
                said()
            ))),
            Ending::Flooded => Err(Error::malformed(format!(
                "the command {:?} printed more than {} bytes and was killed; it must print the token alone",
                self.program, self.output_limit
            ))),
            Ending::Abandoned => {
                Err(self.unavailable("was killed because nobody waits for it".into()))
            }
        }
    }

    fn exited(&self, status: ExitStatus, run: &Run, said: &str) -> Error {
        if let Some(reported) = reported_failure(&run.stdout) {
            return self.failed(&reported, said);
        }
        self.unavailable(format!("failed ({status}){said}"))
    }

    fn failed(&self, fault: &Error, said: &str) -> Error {
        let message = format!(
            "the command {:?} gave no token: {fault}{said}",
            self.program
        );
        Error::new(fault.kind(), message)
    }

    fn unavailable(&self, what: String) -> Error {
        Error::unavailable(format!("the command {:?} {what}", self.program))
    }

    fn did_not_start(&self, fault: io::Error) -> Error {
        let what = match fault.kind() {
            io::ErrorKind::NotFound if !self.directory.is_dir() => {
                format!("cannot start in {:?}, which is no directory", self.directory)
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

impl TokenSource for CommandToken {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        let source = self.clone();
        self.run(request, move |stdout| {
            parse(&stdout).map_err(|fault| source.failed(&fault, ""))
        })
    }
}

/// Arguments and environment are not shown, because people put secrets there.
impl fmt::Debug for CommandToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandToken")
            .field("program", &self.program)
            .field("timeout", &self.timeout)
            .field("output_limit", &self.output_limit)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// A relative path means the same wherever the command starts; a bare name is looked up in `PATH`.
fn found_from_anywhere(program: &OsStr) -> Result<OsString, Error> {
    if !has_separator(program) {
        return Ok(program.to_owned());
    }
    let absolute = path::absolute(program).map_err(|fault| {
        Error::input("the current directory, from which the command is named, cannot be told")
            .caused_by(fault)
    })?;
    Ok(absolute.into_os_string())
}

fn has_separator(program: &OsStr) -> bool {
    let bytes = program.as_encoded_bytes();
    bytes
        .iter()
        .any(|byte| path::is_separator(char::from(*byte)))
}

fn has_nul(text: &OsStr) -> bool {
    text.as_encoded_bytes().contains(&0)
}

#[cfg(unix)]
mod neutral {
    use std::path::PathBuf;

    pub(super) fn directory() -> PathBuf {
        PathBuf::from("/")
    }
}

#[cfg(not(unix))]
mod neutral {
    use std::env;
    use std::path::PathBuf;

    pub(super) fn directory() -> PathBuf {
        env::temp_dir()
    }
}
