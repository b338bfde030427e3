//! Where the response body goes: to standard output, or to a file that appears when it is complete.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::{fs, io};

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Response;
use tempfile::TempPath;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::output::error::{CliError, is_timeout, with_causes};
use crate::output::exit_code::ExitCode;

/// Where the response body goes.
pub(super) struct Destination {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    kind: Kind,
    bar: ProgressBar,
}

enum Kind {
    Stdout,
    /// A device or a pipe, which is written in place.
    Device(PathBuf),
    /// A temporary file in the same directory, which is renamed at the end, or removed when dropped.
    File {
        temporary: TempPath,
        path: PathBuf,
    },
}

impl Destination {
    pub(super) fn stdout() -> Self {
        Self {
            writer: Box::new(tokio::io::stdout()),
            kind: Kind::Stdout,
            bar: ProgressBar::hidden(),
        }
    }

    /// A file that appears when the body is complete; `-` is standard output.
    pub(super) fn file(path: &Path, silent: bool) -> Result<Self, CliError> {
        if path == Path::new("-") {
            return Ok(Self::stdout());
        }
        let (writer, kind) =
            create(path).map_err(|error| CliError::unwritable(path.display(), &error))?;
        Ok(Self {
            writer: Box::new(tokio::fs::File::from_std(writer)),
            kind,
            // Drawn on standard error, and only if that is a terminal.
            bar: if silent {
                ProgressBar::hidden()
            } else {
                ProgressBar::new_spinner()
            },
        })
    }

    /// Receives the whole body, and returns the number of its bytes.
    pub(super) async fn receive(mut self, mut response: Response) -> Result<u64, CliError> {
        let expected = response.content_length();
        if let Some(expected) = expected {
            self.bar.set_length(expected);
        }
        self.bar.set_style(style(expected));
        let mut received = 0;
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => return Err(self.cut_short(&error, received, expected)),
            };
            if received == 0 && self.would_garble_the_terminal(&chunk) {
                return Err(CliError::usage(
                    "the response is binary and could garble the terminal; name a file with --output",
                ));
            }
            received += chunk.len() as u64;
            let written = self.writer.write_all(&chunk).await;
            written.map_err(|error| self.unwritable(&error))?;
            self.bar.set_position(received);
        }
        self.finish().await?;
        Ok(received)
    }

    async fn finish(mut self) -> Result<(), CliError> {
        let flushed = self.writer.flush().await;
        flushed.map_err(|error| self.unwritable(&error))?;
        self.bar.finish_and_clear();
        drop(self.writer);
        match self.kind {
            Kind::Stdout | Kind::Device(_) => Ok(()),
            Kind::File { temporary, path } => temporary
                .persist(&path)
                .map_err(|error| CliError::unwritable(path.display(), &error.error)),
        }
    }

    fn would_garble_the_terminal(&self, chunk: &[u8]) -> bool {
        matches!(self.kind, Kind::Stdout) && chunk.contains(&0) && io::stdout().is_terminal()
    }

    fn unwritable(&self, error: &io::Error) -> CliError {
        match &self.kind {
            Kind::Stdout => CliError::stdout(error),
            Kind::Device(path) | Kind::File { path, .. } => {
                CliError::unwritable(path.display(), error)
            }
        }
    }

    fn cut_short(
        &mut self,
        error: &reqwest::Error,
        received: u64,
        expected: Option<u64>,
    ) -> CliError {
        self.bar.finish_and_clear();
        let exit = if is_timeout(error) {
            ExitCode::TimedOut
        } else {
            ExitCode::CutShort
        };
        let of = expected.map_or_else(String::new, |expected| format!(" of {expected}"));
        let unwritten = match &self.kind {
            Kind::File { path, .. } => format!("; {} was not written", path.display()),
            Kind::Stdout | Kind::Device(_) => String::new(),
        };
        let what = format!("the response was cut short after {received}{of} bytes{unwritten}");
        CliError::new(exit, with_causes(what, Some(error)))
    }
}

/// Opens the file to write to.
fn create(path: &Path) -> io::Result<(fs::File, Kind)> {
    // Like curl, this follows a symbolic link, so that the file is replaced and not the link.
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let before = fs::metadata(&path).ok();
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
        // A user that may not write the file must not replace it either.
        drop(fs::OpenOptions::new().append(true).open(&path)?);
        file.set_permissions(before.permissions())?;
    }
    Ok((file, Kind::File { temporary, path }))
}

fn style(expected: Option<u64>) -> ProgressStyle {
    let template = match expected {
        Some(_) => "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        None => "{spinner} {bytes} {bytes_per_sec} {elapsed}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Gives a new file the usual permissions, before the umask, and not the private ones of a temporary file.
#[cfg(unix)]
fn set_default_permissions(builder: &mut tempfile::Builder<'_, '_>) {
    use std::os::unix::fs::PermissionsExt;

    builder.permissions(fs::Permissions::from_mode(0o666));
}

#[cfg(not(unix))]
fn set_default_permissions(_: &mut tempfile::Builder<'_, '_>) {}
