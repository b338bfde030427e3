//! Changes or makes a text file as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;

/// Replaces the text of the file by what this makes of it, unless that is `None`. It is told whether there is a file.
///
/// The file keeps its permissions. A missing file and its folder are made for this user alone. `what` is for the error.
pub(crate) fn edit(
    path: &Path,
    what: &str,
    change: impl FnOnce(bool) -> Result<Option<String>, CliError>,
) -> Result<(), CliError> {
    let unwritable = |error: &io::Error| {
        CliError::new(
            ExitCode::Failed,
            format!("{what} cannot be written to {}: {error}", path.display()),
        )
    };
    // Of a symbolic link, the file is replaced and not the link.
    let file = match path.canonicalize() {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(unwritable(&error)),
    };
    let folder = folder_of(&file);
    make_folder(folder).map_err(|error| unwritable(&error))?;
    // Two programs that change the file at once would lose one change. Not every system can lock a folder.
    let lock = File::open(folder).ok();
    let _ = lock.as_ref().map(File::lock);
    let exists = !matches!(file.try_exists(), Ok(false));
    match change(exists)? {
        Some(text) => replace(&file, folder, &text).map_err(|error| unwritable(&error)),
        None => Ok(()),
    }
}

/// Makes a file with this text, which its owner alone can read. A file that is there is an error, and stays as it is.
pub(crate) fn create(path: &Path, text: &str) -> io::Result<()> {
    let temporary = write(temporary(folder_of(path))?, text)?;
    temporary.persist_noclobber(path)?;
    Ok(())
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn replace(file: &Path, folder: &Path, text: &str) -> io::Result<()> {
    let temporary = temporary(folder)?;
    if let Ok(before) = fs::metadata(file) {
        // A user that may not write the file must not replace it either.
        drop(fs::OpenOptions::new().append(true).open(file)?);
        temporary.as_file().set_permissions(before.permissions())?;
    }
    write(temporary, text)?.persist(file)?;
    Ok(())
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    // Only its owner can read a new temporary file.
    tempfile::Builder::new()
        .prefix(".keyfob-")
        .suffix(".part")
        .tempfile_in(folder)
}

fn write(mut temporary: NamedTempFile, text: &str) -> io::Result<NamedTempFile> {
    temporary.write_all(text.as_bytes())?;
    temporary.as_file().sync_all()?;
    Ok(temporary)
}

/// Makes a missing folder for this user alone.
fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
