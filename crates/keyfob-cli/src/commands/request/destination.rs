//! Where the answer's body goes: to standard output, or to a file that appears when it is whole.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::{fs, io};

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Response;
use tempfile::TempPath;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::output::error::{CliError, is_timeout, with_causes};
use crate::output::exit_code::ExitCode;

/// Where the answer's body goes.
pub(super) struct Destination {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    kind: Kind,
    bar: ProgressBar,
}

enum Kind {
    Stdout,
    /// A device or a pipe, which cannot be replaced.
    Device(PathBuf),
    /// A file beside its destination; removed when dropped.
    File {
        beside: TempPath,
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

    /// A file of this name, which appears when the body is whole; `-` is standard output.
    pub(super) fn file(path: &Path, silent: bool) -> Result<Self, CliError> {
        if path == Path::new("-") {
            return Ok(Self::stdout());
        }
        let (writer, kind) = create(path).map_err(|fault| {
            CliError::failed(format!("{} cannot be written", path.display()), &fault)
        })?;
        Ok(Self {
            writer: Box::new(tokio::fs::File::from_std(writer)),
            kind,
            // On standard error, and only if that is a terminal.
            bar: if silent {
                ProgressBar::hidden()
            } else {
                ProgressBar::new_spinner()
            },
        })
    }

    /// Takes the whole body.
    pub(super) async fn receive(mut self, mut response: Response) -> Result<(), CliError> {
        let promised = response.content_length();
        if let Some(promised) = promised {
            self.bar.set_length(promised);
        }
        self.bar.set_style(style(promised));
        let mut received = 0;
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(fault) => return Err(self.cut_short(&fault, received, promised)),
            };
            if received == 0 && self.would_upset_the_terminal(&chunk) {
                return Err(CliError::usage(
                    "the answer is binary and would upset the terminal; name a file with --output",
                ));
            }
            received += chunk.len() as u64;
            let written = self.writer.write_all(&chunk).await;
            written.map_err(|fault| self.unwritable(&fault))?;
            self.bar.set_position(received);
        }
        self.finish().await
    }

    async fn finish(mut self) -> Result<(), CliError> {
        let flushed = self.writer.flush().await;
        flushed.map_err(|fault| self.unwritable(&fault))?;
        self.bar.finish_and_clear();
        drop(self.writer);
        match self.kind {
            Kind::Stdout | Kind::Device(_) => Ok(()),
            Kind::File { beside, path } => beside.persist(&path).map_err(|fault| {
                CliError::failed(
                    format!("{} cannot be written", path.display()),
                    &fault.error,
                )
            }),
        }
    }

    fn would_upset_the_terminal(&self, chunk: &[u8]) -> bool {
        matches!(self.kind, Kind::Stdout) && chunk.contains(&0) && io::stdout().is_terminal()
    }

    fn unwritable(&self, fault: &io::Error) -> CliError {
        match &self.kind {
            Kind::Stdout => CliError::stdout(fault),
            Kind::Device(path) | Kind::File { path, .. } => {
                CliError::failed(format!("{} cannot be written", path.display()), fault)
            }
        }
    }

    fn cut_short(
        &mut self,
        fault: &reqwest::Error,
        received: u64,
        promised: Option<u64>,
    ) -> CliError {
        self.bar.finish_and_clear();
        let exit = if is_timeout(fault) {
            ExitCode::TimedOut
        } else {
            ExitCode::CutShort
        };
        let of = promised.map_or_else(String::new, |promised| format!(" of {promised}"));
        let kept = match &self.kind {
            Kind::File { path, .. } => format!("; {} was not written", path.display()),
            Kind::Stdout | Kind::Device(_) => String::new(),
        };
        let what = format!("the answer was cut short after {received}{of} bytes{kept}");
        CliError::new(exit, with_causes(what, Some(fault)))
    }
}

/// Opens what is written to, and says how it gets its name.
fn create(path: &Path) -> io::Result<(fs::File, Kind)> {
    // Through a link, as curl does: what is replaced is the file, not the link.
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(fault) => return Err(fault),
    };
    let before = fs::metadata(&path).ok();
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        let device = fs::OpenOptions::new().write(true).open(&path)?;
        return Ok((device, Kind::Device(path)));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".keyfob-").suffix(".part");
    permissions::usual(&mut builder);
    let (file, beside) = builder.tempfile_in(folder)?.into_parts();
    if let Some(before) = before {
        // One who may not write the file may not replace it either.
        drop(fs::OpenOptions::new().append(true).open(&path)?);
        file.set_permissions(before.permissions())?;
    }
    Ok((file, Kind::File { beside, path }))
}

fn style(promised: Option<u64>) -> ProgressStyle {
    let template = match promised {
        Some(_) => "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        None => "{spinner} {bytes} {bytes_per_sec} {elapsed}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(unix)]
mod permissions {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    /// Those of any new file; the umask takes its part.
    pub(super) fn usual(builder: &mut tempfile::Builder<'_, '_>) {
        builder.permissions(Permissions::from_mode(0o666));
    }
}

#[cfg(not(unix))]
mod permissions {
    pub(super) fn usual(_: &mut tempfile::Builder<'_, '_>) {}
}
