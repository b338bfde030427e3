//! Recognizes a program that asks again for a credential which it has: the server has rejected it.
//!
//! kubectl and rclone keep the token that they got until it expires, and run the helper again after a 401. They do not say why. So what
//! the process that runs keyfob got is written down, without the token itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use keyfob::store::FileStore;

use crate::commands::helper::choose::{Chosen, Server};
use crate::credential::Credential;
use crate::output::error::CliError;

/// A credential for the program that runs keyfob, other than the one that it got before and that has not expired.
pub(super) async fn credential_for_parent(
    chosen: &Chosen,
    server: &Server,
) -> Result<Credential, CliError> {
    let Some(record) = Record::of_parent(server) else {
        return chosen.credential().await;
    };
    let had = record.read();
    let had_it = |credential: &Credential| {
        had.as_ref()
            .is_some_and(|had| had.fingerprint == fingerprint(credential))
    };
    let is_new = had.as_ref().is_some_and(|had| had.is_new);
    let is_rejected = |credential: &Credential| !is_new && had_it(credential);
    let credential = match chosen.credential_after(is_rejected).await {
        // That the server has rejected it is only likely, so a token that has not expired is used all the same.
        Err(error) if had.is_some() => chosen.credential().await.map_err(|_| error)?,
        other => other?,
    };
    // The age of a record is that of its token.
    if !had_it(&credential) {
        record.write(&Given {
            fingerprint: fingerprint(&credential),
            is_new: had.is_some(),
        });
    }
    Ok(credential)
}

/// A text that differs for different tokens, and from which the token cannot be computed.
pub(super) fn fingerprint(credential: &Credential) -> String {
    hash(&["token", credential.text()])
}

/// What one process got for one server.
struct Given {
    fingerprint: String,
    /// It replaced another token a short time ago.
    ///
    /// A program may ask several times without a rejection: rclone does for each remote. And a server may reject every token. So one
    /// process causes one renewal in that time, however often it asks.
    is_new: bool,
}

/// The file with what one process got for one server.
struct Record {
    folder: PathBuf,
    name: String,
}

impl Record {
    /// `None` where a process cannot be told apart from a later one with its number, or there is no folder.
    fn of_parent(server: &Server) -> Option<Self> {
        let (parent, started) = parent()?;
        let folder = FileStore::default_directory().ok()?;
        Some(Self {
            // Next to the tokens, and not among them.
            folder: folder.with_file_name("keyfob-helper"),
            name: hash(&[
                "process",
                &parent.to_string(),
                &started,
                server.url.as_str(),
            ]),
        })
    }

    fn read(&self) -> Option<Given> {
        let path = self.folder.join(&self.name);
        let text = fs::read_to_string(&path).ok()?;
        let written = fs::metadata(&path).and_then(|metadata| metadata.modified());
        // A time in the future means that the clock was set back: then the age is not known.
        let age = SystemTime::now().duration_since(written.ok()?).ok();
        let replacement = text.strip_suffix(REPLACEMENT);
        Some(Given {
            fingerprint: replacement.unwrap_or(&text).to_owned(),
            is_new: replacement.is_some() && age.is_some_and(|age| age < NEW),
        })
    }

    /// Without the record the next token is given as if it were the first, so a failure is no error.
    fn write(&self, given: &Given) {
        if make_folder(&self.folder).is_ok() {
            remove_old(&self.folder);
            let mark = if given.is_new { REPLACEMENT } else { "" };
            let text = format!("{}{mark}", given.fingerprint);
            let _ = fs::write(self.folder.join(&self.name), text);
        }
    }
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Removes the records of programs that got nothing for a day.
fn remove_old(folder: &Path) {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    for file in files {
        let changed = file.metadata().and_then(|metadata| metadata.modified());
        let age = changed.map(|changed| SystemTime::now().duration_since(changed));
        if age.is_ok_and(|age| age.unwrap_or_default() > MAX_AGE) {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// The number and the start time of the process that runs this one.
#[cfg(target_os = "linux")]
fn parent() -> Option<(u32, String)> {
    let parent = std::os::unix::process::parent_id();
    let stat = fs::read_to_string(format!("/proc/{parent}/stat")).ok()?;
    // The name of the program, in parentheses, may have spaces. The start time is field 22, and the name is field 2.
    let (_, fields) = stat.rsplit_once(')')?;
    let started = fields.split_whitespace().nth(19)?;
    Some((parent, started.to_owned()))
}

#[cfg(not(target_os = "linux"))]
fn parent() -> Option<(u32, String)> {
    None
}

fn hash(parts: &[&str]) -> String {
    let digest = digest(&SHA256, parts.join("\0").as_bytes());
    let bytes = digest.as_ref().iter().take(16);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Marks a token that was given in place of another one.
const REPLACEMENT: &str = "\nreplacement";

/// How long a token that replaced another one is not taken for rejected.
const NEW: Duration = Duration::from_secs(60);

const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
