//! A download that a later run continues (`--continue-at -`).
//!
//! What has arrived is in `FILE.part`, and which version of which resource it belongs to in `FILE.part.version`. The next run asks for
//! the rest of that version (RFC 9110 §13.1.5 and §14). A server that has another one by now sends all of it.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::{fs, io};

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_RANGE, DATE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Response;
use url::Url;

use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;

/// The part of a file that has arrived.
pub(super) struct Partial {
    file: File,
    path: PathBuf,
    /// Names the resource, without its URL, which may hold secrets.
    resource: String,
    /// The number of bytes that can be kept, and their version.
    known: Option<(u64, HeaderValue)>,
    /// Whether the server named the version of what arrives.
    can_continue: bool,
}

/// What the response means for the part.
pub(super) enum Rest {
    /// The body follows what is there already.
    After(u64),
    /// The file is complete.
    Nothing,
}

impl Partial {
    /// Opens the part of this file, and holds it until it is dropped.
    pub(super) fn open(target: &Path, url: &Url) -> Result<Self, CliError> {
        let path = with_suffix(target, ".part");
        let opened = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path);
        let file = opened.map_err(|error| CliError::unwritable(path.display(), &error))?;
        if file.try_lock().is_err() {
            return Err(CliError::usage(format!(
                "another process writes {}; wait until it has ended",
                path.display()
            )));
        }
        let sha256 = digest::digest(&digest::SHA256, url.as_str().as_bytes());
        let resource = STANDARD.encode(sha256);
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let version = (length > 0).then(|| version_of(&path, &resource)).flatten();
        Ok(Self {
            file,
            path,
            resource,
            can_continue: version.is_some(),
            known: version.map(|version| (length, version)),
        })
    }

    /// Asks for the rest, if the version of what is there is known.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        if let Some((length, version)) = &self.known
            && let Ok(range) = HeaderValue::try_from(format!("bytes={length}-"))
        {
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, version.clone());
        }
    }

    /// Makes the part ready for the body of this response, which has no other status of 400 or more than 416.
    pub(super) fn prepare(&mut self, response: &Response) -> Result<Rest, CliError> {
        let range = response.headers().get(CONTENT_RANGE);
        let range = range.and_then(|range| range.to_str().ok()).unwrap_or("");
        match (response.status(), &self.known) {
            (StatusCode::PARTIAL_CONTENT, Some((length, _)))
                if range.starts_with(&format!("bytes {length}-")) =>
            {
                Ok(Rest::After(*length))
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, Some((length, _)))
                if range == format!("bytes */{length}") =>
            {
                Ok(Rest::Nothing)
            }
            (StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE, _) => {
                self.forget();
                Err(CliError::new(
                    ExitCode::NotContinued,
                    "the server sent another range than the one that is missing, so the part was removed; run the command again",
                ))
            }
            _ => self
                .begin_anew(response.headers())
                .map(|()| Rest::After(0))
                .map_err(|error| CliError::unwritable(self.path.display(), &error)),
        }
    }

    /// A handle for writing at the end.
    pub(super) fn writer(&self) -> io::Result<File> {
        let mut writer = self.file.try_clone()?;
        writer.seek(SeekFrom::End(0))?;
        Ok(writer)
    }

    /// Gives the complete file its name.
    pub(super) fn complete(self, target: &Path) -> io::Result<()> {
        if let Ok(before) = fs::metadata(target) {
            self.file.set_permissions(before.permissions())?;
        }
        fs::rename(&self.path, target)?;
        _ = fs::remove_file(with_suffix(&self.path, ".version"));
        Ok(())
    }

    /// What becomes of the part when the connection breaks, in words.
    pub(super) fn interrupted(self) -> String {
        match self.can_continue {
            true => format!(
                "the same command continues it, because {} was kept",
                self.path.display()
            ),
            false => {
                self.forget();
                "it cannot be continued, because the server named no version of it".to_owned()
            }
        }
    }

    fn begin_anew(&mut self, headers: &HeaderMap) -> io::Result<()> {
        self.file.set_len(0)?;
        let version = strong_version(headers);
        self.can_continue = version.is_some();
        let path = with_suffix(&self.path, ".version");
        match version.and_then(|version| version.to_str().ok()) {
            Some(version) => fs::write(path, format!("{}\n{version}\n", self.resource)),
            None => {
                _ = fs::remove_file(path);
                Ok(())
            }
        }
    }

    fn forget(&self) {
        _ = fs::remove_file(&self.path);
        _ = fs::remove_file(with_suffix(&self.path, ".version"));
    }
}

/// The version that was noted for the part of this resource.
fn version_of(part: &Path, resource: &str) -> Option<HeaderValue> {
    let text = fs::read_to_string(with_suffix(part, ".version")).ok()?;
    let version = text.strip_prefix(resource)?.trim();
    HeaderValue::try_from(version).ok()
}

/// A validator that changes with each byte of the resource (RFC 9110 §8.8.1).
fn strong_version(headers: &HeaderMap) -> Option<&HeaderValue> {
    let is_strong = |tag: &&HeaderValue| tag.as_bytes().starts_with(b"\"");
    if let Some(tag) = headers.get(ETAG).filter(is_strong) {
        return Some(tag);
    }
    // "[The] Last-Modified value is at least one second earlier than the Date value" (§8.8.2.2).
    let time = |name| {
        let text = headers.get(name)?.to_str().ok()?;
        DateTimeParser::new().parse_timestamp(text).ok()
    };
    let (modified, sent) = (time(LAST_MODIFIED)?, time(DATE)?);
    (modified < sent).then(|| headers.get(LAST_MODIFIED))?
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(pairs: &[(http::HeaderName, &'static str)]) -> Option<String> {
        let pairs = pairs.iter().cloned();
        let headers = pairs.map(|(name, value)| (name, HeaderValue::from_static(value)));
        let headers = headers.collect();
        let version = strong_version(&headers)?;
        version.to_str().ok().map(str::to_owned)
    }

    #[test]
    fn only_a_strong_validator_names_a_version() {
        let noon = "Sun, 06 Nov 1994 12:00:00 GMT";
        let before = "Sun, 06 Nov 1994 11:59:59 GMT";
        assert_eq!(version(&[(ETAG, "\"a\"")]).as_deref(), Some("\"a\""));
        assert_eq!(version(&[(ETAG, "W/\"a\"")]), None);
        let dated = [(ETAG, "W/\"a\""), (LAST_MODIFIED, before), (DATE, noon)];
        assert_eq!(version(&dated).as_deref(), Some(before));
        assert_eq!(version(&[(LAST_MODIFIED, noon), (DATE, noon)]), None);
        assert_eq!(version(&[(LAST_MODIFIED, noon)]), None);
    }
}
