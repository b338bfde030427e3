//! Where the response body goes: to standard output, or to a file that appears when it is complete.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::{fs, io};

use http::HeaderMap;
use reqwest::Response;
use tempfile::TempPath;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use url::Url;

use crate::commands::request::partial::{Partial, Rest};
use crate::commands::request::progress::Progress;
use crate::commands::request::terminal::Terminal;
use crate::output::error::{CliError, is_timeout, with_causes};
use crate::output::exit_code::ExitCode;

/// Where the response body goes.
pub(super) struct Destination {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    kind: Kind,
    progress: Progress,
}

enum Kind {
    Stdout,
    /// Standard output that is a terminal, and was not named as a file.
    Terminal(Terminal),
    /// A device or a pipe, which is written in place.
    Device(PathBuf),
    /// A temporary file in the same directory, which is renamed at the end, or removed when dropped.
    File {
        temporary: TempPath,
        path: PathBuf,
    },
    /// A file that a later run continues.
    Partial {
        partial: Partial,
        path: PathBuf,
    },
}

impl Destination {
    pub(super) fn stdout(silent: bool) -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self {
            writer: Box::new(tokio::io::stdout()),
            kind: match is_terminal {
                true => Kind::Terminal(Terminal::default()),
                false => Kind::Stdout,
            },
            progress: Progress::new(!silent && !is_terminal),
        }
    }

    /// A file that appears when the body is complete; `-` is standard output.
    pub(super) fn file(path: &Path, silent: bool) -> Result<Self, CliError> {
        if path == Path::new("-") {
            // A terminal gets any bytes then.
            let kind = Kind::Stdout;
            let stdout = Self::stdout(silent);
            return Ok(Self { kind, ..stdout });
        }
        let (writer, kind) =
            create(path).map_err(|error| CliError::unwritable(path.display(), &error))?;
        Ok(Self {
            writer: Box::new(tokio::fs::File::from_std(writer)),
            kind,
            progress: Progress::new(!silent),
        })
    }

    /// A file whose download an earlier run may have begun.
    pub(super) fn continued(path: &Path, url: &Url, silent: bool) -> Result<Self, CliError> {
        let unwritable = |error| CliError::unwritable(path.display(), &error);
        let (path, before) = target(path).map_err(unwritable)?;
        if before.is_some_and(|before| !before.is_file()) {
            return Err(CliError::usage(format!(
                "{} is no file, so its download cannot be continued",
                path.display()
            )));
        }
        let partial = Partial::open(&path, url)?;
        let writer = partial.writer().map_err(unwritable)?;
        Ok(Self {
            writer: Box::new(tokio::fs::File::from_std(writer)),
            kind: Kind::Partial { partial, path },
            progress: Progress::new(!silent),
        })
    }

    /// Asks for what is missing, if a part is there.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        if let Kind::Partial { partial, .. } = &self.kind {
            partial.add_to(headers);
        }
    }

    /// Receives the whole body, and returns the number of its bytes.
    pub(super) async fn receive(mut self, mut response: Response) -> Result<u64, CliError> {
        let mut done = 0;
        match &mut self.kind {
            Kind::Terminal(terminal) => terminal.begin(response.headers()),
            Kind::Partial { partial, .. } => match partial.prepare(&response)? {
                Rest::After(length) => done = length,
                Rest::Nothing => {
                    self.finish().await?;
                    return Ok(0);
                }
            },
            _ => {}
        }
        let before = done;
        let expected = response.content_length().map(|length| done + length);
        self.progress.begin(done, expected);
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => return Err(self.cut_short(&error, done, expected).await),
            };
            if done == 0 && matches!(self.kind, Kind::Terminal(_)) && chunk.contains(&0) {
                return Err(CliError::new(
                    ExitCode::Unwritable,
                    "the response is binary and could garble the terminal; name a file with --output, or `--output -` to print it",
                ));
            }
            done += chunk.len() as u64;
            let written = self.write(&chunk).await;
            written.map_err(|error| self.unwritable(&error))?;
            self.progress.advance(chunk.len());
        }
        self.finish().await?;
        Ok(done - before)
    }

    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        match &mut self.kind {
            Kind::Terminal(terminal) => {
                let shown = terminal.add(chunk);
                self.writer.write_all(shown.as_bytes()).await?;
            }
            _ => self.writer.write_all(chunk).await?,
        }
        match self.kind {
            // It keeps the rest of a line otherwise, and an event of a stream may end without one.
            Kind::Stdout | Kind::Terminal(_) => self.writer.flush().await,
            _ => Ok(()),
        }
    }

    async fn finish(mut self) -> Result<(), CliError> {
        let flushed = self.flush().await;
        flushed.map_err(|error| self.unwritable(&error))?;
        self.progress.clear();
        drop(self.writer);
        match self.kind {
            Kind::Stdout | Kind::Terminal(_) | Kind::Device(_) => Ok(()),
            Kind::File { temporary, path } => temporary
                .persist(&path)
                .map_err(|error| CliError::unwritable(path.display(), &error.error)),
            Kind::Partial { partial, path } => partial
                .complete(&path)
                .map_err(|error| CliError::unwritable(path.display(), &error)),
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        if let Kind::Terminal(terminal) = &mut self.kind {
            let rest = terminal.end();
            self.writer.write_all(rest.as_bytes()).await?;
        }
        self.writer.flush().await
    }

    fn unwritable(&self, error: &io::Error) -> CliError {
        match &self.kind {
            Kind::Stdout | Kind::Terminal(_) => CliError::stdout(error),
            Kind::Device(path) | Kind::File { path, .. } | Kind::Partial { path, .. } => {
                CliError::unwritable(path.display(), error)
            }
        }
    }

    async fn cut_short(
        mut self,
        error: &reqwest::Error,
        received: u64,
        expected: Option<u64>,
    ) -> CliError {
        self.progress.clear();
        // What has arrived is shown, or kept as a part.
        _ = self.flush().await;
        let exit = if is_timeout(error) {
            ExitCode::TimedOut
        } else {
            ExitCode::CutShort
        };
        let of = expected.map_or_else(String::new, |expected| format!(" of {expected}"));
        let outcome = match self.kind {
            Kind::File { path, .. } => format!("; {} was not written", path.display()),
            Kind::Partial { partial, .. } => format!("; {}", partial.interrupted()),
            Kind::Stdout | Kind::Terminal(_) | Kind::Device(_) => String::new(),
        };
        let what = format!("the response was cut short after {received}{of} bytes{outcome}");
        CliError::new(exit, with_causes(what, Some(error)))
    }
}

/// The file itself, and what is there already.
fn target(path: &Path) -> io::Result<(PathBuf, Option<fs::Metadata>)> {
    // Like curl, this follows a symbolic link, so that the file is replaced and not the link.
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let before = fs::metadata(&path).ok();
    if before.as_ref().is_some_and(fs::Metadata::is_file) {
        // A user that may not write the file must not replace it either.
        drop(fs::OpenOptions::new().append(true).open(&path)?);
    }
    Ok((path, before))
}

/// Opens the file to write to.
fn create(path: &Path) -> io::Result<(fs::File, Kind)> {
    let (path, before) = target(path)?;
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        let device = fs::OpenOptions::new().write(true).open(&path)?;
        return Ok((device, Kind::Device(path)));
    }
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".keyfob-").suffix(".part");
    set_default_permissions(&mut builder);
    let made = builder.tempfile_in(directory);
    // Its error names the temporary file, which means nothing to a user.
    let made = made.map_err(|error| io::Error::from(error.kind()))?;
    let (file, temporary) = made.into_parts();
    if let Some(before) = before {
        file.set_permissions(before.permissions())?;
    }
    Ok((file, Kind::File { temporary, path }))
}

/// Gives a new file the usual permissions, before the umask, and not the private ones of a temporary file.
#[cfg(unix)]
fn set_default_permissions(builder: &mut tempfile::Builder<'_, '_>) {
    use std::os::unix::fs::PermissionsExt;

    builder.permissions(fs::Permissions::from_mode(0o666));
}

#[cfg(not(unix))]
fn set_default_permissions(_: &mut tempfile::Builder<'_, '_>) {}
