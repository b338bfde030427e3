//! `keyfob store export` and `import`: a file with what a store holds, sealed with a key of its own.

use std::fs;
use std::io::Write;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob::error::printable;
use keyfob::store::{EntrySummary, SealingKey, SealingKeys, import_entry};

use crate::commands::store::{Archive, Counts};
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stderr;
use crate::stored_tokens::LOCK_TIMEOUT;

/// Writes the entries of a store to a file.
///
/// Tokens that are renewed afterwards are newer in the store than in the file.
pub(super) async fn export(archive: &Archive) -> Result<ExitCode, CliError> {
    let keys = keys(archive)?;
    let opened = archive.store.open()?;
    let mut counts = Counts::default();
    let mut text = HEAD.to_owned();
    for entry in opened.entries().await? {
        let found = match &entry.unreadable {
            Some(fault) => Err(fault.clone()),
            None => opened.store.load(&entry.key).await,
        };
        let sealed = found.and_then(|found| {
            let found = found.map(|found| found.at(SystemTime::now()));
            found.map(|found| keys.seal(&entry.key, &found)).transpose()
        });
        if let Ok(Some(sealed)) = &sealed {
            text += &format!("{} {}\n", entry.key.id(), STANDARD.encode(sealed));
        }
        counts.add(&entry, sealed.map(|sealed| sealed.is_some()));
    }
    write(archive, &text)?;
    counts.report("exported")
}

/// Puts the entries of a file into a store that does not have them. What the store has stays.
pub(super) async fn import(archive: &Archive) -> Result<ExitCode, CliError> {
    let keys = keys(archive)?;
    let path = archive.file.display();
    let text = fs::read_to_string(&archive.file)
        .map_err(|error| CliError::failed(format!("{path} cannot be read"), &error))?;
    let unusable = || match text.starts_with(FORMAT) && !text.starts_with(HEAD) {
        true => CliError::usage(format!(
            "{path} was written by a newer version of keyfob; upgrade this one"
        )),
        false => CliError::usage(format!("{path} is not what `keyfob store export` writes")),
    };
    let lines = text.strip_prefix(HEAD).ok_or_else(unusable)?.lines();
    let mut entries = Vec::new();
    // All are opened first, so that a wrong key or a damaged file changes nothing.
    for line in lines {
        let (id, sealed) = line.split_once(' ').ok_or_else(unusable)?;
        let sealed = STANDARD.decode(sealed).map_err(|_| unusable())?;
        entries.push(keys.open(id, &sealed).map_err(keyfob::Error::from)?);
    }
    let opened = archive.store.open()?;
    let mut counts = Counts::default();
    for (key, entry) in entries {
        let summary = EntrySummary::of(key.clone(), &entry);
        let imported = import_entry(&*opened.store, &key, entry, LOCK_TIMEOUT).await;
        if let Ok(false) = imported {
            let label = printable(key.label());
            print_stderr(format!(
                "keyfob: {label}: the store has a token already, which stays\n"
            ));
        }
        counts.add(&summary, imported);
    }
    counts.report("imported")
}

fn keys(archive: &Archive) -> Result<SealingKeys, CliError> {
    let key = SealingKey::from_file(&archive.sealing_key)?;
    Ok(SealingKeys::new(key).bound_to("keyfob store export"))
}

/// Writes a new file. Another file is not replaced, because it may be the only copy.
fn write(archive: &Archive, text: &str) -> Result<(), CliError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&archive.file).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let path = archive.file.display();
    written.map_err(|error| CliError::failed(format!("{path} cannot be written"), &error))
}

/// The first line of a file, with the version of the format.
const HEAD: &str = "keyfob-export-1\n";
const FORMAT: &str = "keyfob-export-";
