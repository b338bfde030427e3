//! `keyfob store export` and `import`: a file with what a store holds, sealed with a key of its own.
//!
//! The first line names the format. Each entry has a line with the id of its key and the sealed entry. The last line is a seal of all
//! lines before it, so that a part of a file is not taken for the whole.

use std::fs;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob::Token;
use keyfob::error::printable;
use keyfob::store::{
    Entry, EntrySummary, SealingKey, SealingKeys, StoreErrorKind, StoreKey, import_entry,
};

use crate::commands::store::{Archive, Counts};
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stderr;
use crate::stored_tokens::LOCK_TIMEOUT;
use crate::text_file;

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
    let end = keys.seal(&end_key(&text), &end_entry()?);
    let end = end.map_err(keyfob::Error::from)?;
    text += &format!("{END}{}\n", STANDARD.encode(end));
    write(archive, &text)?;
    counts.report("exported")
}

/// Puts the entries of a file into a store that does not have them. What the store has stays.
pub(super) async fn import(archive: &Archive) -> Result<ExitCode, CliError> {
    let path = archive.file.display();
    let text = fs::read_to_string(&archive.file)
        .map_err(|error| CliError::failed(format!("{path} cannot be read"), &error))?;
    let entries = open_all(archive, &text)?;
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

/// Opens all entries of a file, so that a wrong key or a damaged file is found before anything is imported.
fn open_all(archive: &Archive, text: &str) -> Result<Vec<(StoreKey, Entry)>, CliError> {
    let keys = keys(archive)?;
    let changed = || changed(archive);
    if !text.starts_with(HEAD) {
        return Err(unknown_format(archive, text));
    }
    let whole = text.strip_suffix('\n').ok_or_else(changed)?;
    let start_of_end = whole.rfind('\n').ok_or_else(changed)? + 1;
    let (before, end) = whole.split_at(start_of_end);
    let end = end.strip_prefix(END).ok_or_else(changed)?;
    let end = STANDARD.decode(end).map_err(|_| changed())?;
    let opened = keys.open(end_key(before).id(), &end);
    opened.map_err(|fault| match fault.kind() {
        // Not a newer format of seals: that would have a newer head.
        StoreErrorKind::Unavailable => other_key(archive),
        _ => changed(),
    })?;
    let lines = before[HEAD.len()..].lines();
    let entries = lines.map(|line| {
        let (id, sealed) = line.split_once(' ').ok_or_else(changed)?;
        let sealed = STANDARD.decode(sealed).map_err(|_| changed())?;
        keys.open(id, &sealed).map_err(|_| changed())
    });
    entries.collect()
}

/// The key under which the last line is sealed. It has a hash of all that is before that line, so also of the number of entries.
fn end_key(before: &str) -> StoreKey {
    let before = StoreKey::builder(before).build();
    StoreKey::builder("end of keyfob store export")
        .name(before.id())
        .build()
}

/// What is sealed in the last line. Only its key matters.
fn end_entry() -> Result<Entry, CliError> {
    Ok(Entry::new(Token::new("end")?, SystemTime::now()))
}

/// Why a file does not begin as this version writes it.
fn unknown_format(archive: &Archive, text: &str) -> CliError {
    let path = archive.file.display();
    let Some(rest) = text.strip_prefix(FORMAT) else {
        return CliError::usage(format!("{path} is not what `keyfob store export` writes"));
    };
    // A first line that was cut says nothing about the version.
    let version = rest.split_once('\n').map(|(version, _)| version);
    let version = version.filter(|version| version.bytes().all(|byte| byte.is_ascii_digit()));
    match version.map(str::parse::<u64>) {
        Some(Ok(version)) if version > VERSION => CliError::usage(format!(
            "{path} was written by a newer version of keyfob; upgrade this one"
        )),
        _ => changed(archive),
    }
}

fn changed(archive: &Archive) -> CliError {
    let path = archive.file.display();
    CliError::usage(format!(
        "{path} is not complete or was changed, so nothing is imported; copy it again, byte for byte"
    ))
}

fn other_key(archive: &Archive) -> CliError {
    let (path, key) = (archive.file.display(), archive.sealing_key.display());
    CliError::usage(format!(
        "{path} is sealed with another key than the one in {key}; name the file of that key with --sealing-key"
    ))
}

/// Writes a new file. Another file is not replaced, because it may be the only copy.
fn write(archive: &Archive, text: &str) -> Result<(), CliError> {
    let written = text_file::create(&archive.file, text);
    let path = archive.file.display();
    written.map_err(|error| CliError::failed(format!("{path} cannot be written"), &error))
}

/// The first line of a file, with the version of the format. A new format of the seals in it needs a new version, too.
const HEAD: &str = "keyfob-export-1\n";
const FORMAT: &str = "keyfob-export-";
const VERSION: u64 = 1;

/// How the last line begins. Without that line, the file is not complete.
const END: &str = "end ";
