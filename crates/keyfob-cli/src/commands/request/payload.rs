//! The bytes of a body: in memory, or in files that are opened for each attempt, or from a pipe that is read once.

use std::fs::File;
use std::io::{Cursor, Read, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{io, mem};

use bytes::Bytes;
use keyfob::error::shown_name;
use keyfob::session::RequestBuilder;
use reqwest::Body;

use crate::commands::request::progress::Progress;
use crate::commands::request::streamed::Streamed;
use crate::output::error::CliError;

/// The bytes of a body.
pub(super) enum Payload {
    InMemory(Bytes),
    /// Opened again when the request is sent again.
    Pieces(Arc<[Piece]>),
    /// Standard input, or a named pipe.
    Once(Streamed),
}

/// A part of a body.
#[derive(Clone)]
pub(super) enum Piece {
    Bytes(Bytes),
    File(PathBuf, u64),
}

/// What is at a path.
enum Found {
    File(File, u64),
    Pipe(File),
}

impl Payload {
    /// The text itself, or the contents of `@FILE`, or of `@-`, standard input.
    pub(super) fn read(text: &str) -> Result<Self, CliError> {
        match text.strip_prefix('@') {
            None => Ok(Self::InMemory(Bytes::copy_from_slice(text.as_bytes()))),
            Some("-") => Ok(Self::Once(Streamed::new(stdin(), None))),
            Some(path) => Self::file(Path::new(path)),
        }
    }

    pub(super) fn file(path: &Path) -> Result<Self, CliError> {
        match find(path)? {
            Found::Pipe(file) => Ok(Self::Once(Streamed::new(file, None))),
            Found::File(file, length) => Ok(Self::of(vec![piece(path, file, length)?])),
        }
    }

    /// Pieces one after the other.
    pub(super) fn of(pieces: Vec<Piece>) -> Self {
        let in_memory = |piece: &Piece| matches!(piece, Piece::Bytes(_));
        if !pieces.iter().all(in_memory) {
            return Self::Pieces(pieces.into());
        }
        let mut whole = Vec::new();
        for piece in pieces {
            if let Piece::Bytes(bytes) = piece {
                whole.extend_from_slice(&bytes);
            }
        }
        Self::InMemory(whole.into())
    }

    /// The number of bytes, if it is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::InMemory(bytes) => Some(bytes.len() as u64),
            Self::Pieces(pieces) => Some(pieces.iter().map(Piece::length).sum()),
            Self::Once(_) => None,
        }
    }

    /// Adds the body to the request. The progress shows how much of it was sent.
    pub(super) fn add_to(self, request: RequestBuilder, progress: Progress) -> RequestBuilder {
        match self {
            Self::InMemory(bytes) => request.body(bytes),
            Self::Pieces(pieces) => {
                request.body_from(move || Body::wrap(open(&pieces).shown_by(progress.clone())))
            }
            Self::Once(streamed) => request.body(Body::wrap(streamed.shown_by(progress))),
        }
    }
}

impl Piece {
    /// A file, held in memory if it is small or a pipe.
    pub(super) fn file(path: &Path) -> Result<Self, CliError> {
        match find(path)? {
            Found::Pipe(file) => in_memory(path, file),
            Found::File(file, length) => piece(path, file, length),
        }
    }

    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, length) => *length,
        }
    }
}

/// Reads a text from a file, or from standard input.
pub(super) fn contents(path: &str) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let (read, shown) = match path {
        "-" => (stdin().read_to_end(&mut bytes), "standard input".to_owned()),
        path => {
            let opened = File::open(path);
            let read = opened.and_then(|mut file| file.read_to_end(&mut bytes));
            (read, shown_name(path))
        }
    };
    read.map_err(|error| CliError::unreadable(shown, &error))?;
    Ok(bytes)
}

fn find(path: &Path) -> Result<Found, CliError> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if metadata.is_dir() {
        let shown = shown_name(&path.to_string_lossy());
        return Err(CliError::usage(format!(
            "{shown} is a directory; name a file"
        )));
    }
    Ok(match metadata.is_file() {
        true => Found::File(file, metadata.len()),
        false => Found::Pipe(file),
    })
}

fn piece(path: &Path, file: File, length: u64) -> Result<Piece, CliError> {
    match length > IN_MEMORY_LIMIT {
        true => Ok(Piece::File(path.to_owned(), length)),
        false => in_memory(path, file),
    }
}

fn in_memory(path: &Path, mut file: File) -> Result<Piece, CliError> {
    let mut bytes = Vec::new();
    let read = file.read_to_end(&mut bytes);
    read.map_err(|error| unreadable(path, &error))?;
    Ok(Piece::Bytes(bytes.into()))
}

fn unreadable(path: &Path, error: &io::Error) -> CliError {
    CliError::unreadable(shown_name(&path.to_string_lossy()), error)
}

/// A body of these pieces. Each file is opened when its turn comes.
fn open(pieces: &Arc<[Piece]>) -> Streamed {
    let length = pieces.iter().map(Piece::length).sum();
    let first: Box<dyn Read + Send> = Box::new(io::empty());
    let reader = pieces.iter().cloned().fold(first, |before, piece| {
        let after: Box<dyn Read + Send> = match piece {
            Piece::Bytes(bytes) => Box::new(Cursor::new(bytes)),
            Piece::File(path, left) => Box::new(Opened::Not(path, left)),
        };
        Box::new(before.chain(after))
    });
    Streamed::new(reader, Some(length))
}

/// The first bytes of a file, as many as were announced.
enum Opened {
    Not(PathBuf, u64),
    Open(File, u64),
}

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Self::Not(path, left) = self {
            *self = Self::Open(File::open(mem::take(path))?, *left);
        }
        let Self::Open(file, left) = self else {
            return Ok(0);
        };
        let read = file.take(*left).read(buffer)?;
        if read == 0 && *left > 0 && !buffer.is_empty() {
            // What follows it must not take its place.
            return Err(io::Error::other(
                "the file became shorter while it was sent",
            ));
        }
        *left -= read as u64;
        Ok(read)
    }
}

/// A file up to this size is held in memory.
const IN_MEMORY_LIMIT: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: Vec<Piece>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut readers = pieces.into_iter().map(|piece| match piece {
            Piece::Bytes(bytes) => Box::new(Cursor::new(bytes)) as Box<dyn Read>,
            Piece::File(path, length) => Box::new(Opened::Not(path, length)),
        });
        readers.try_for_each(|mut reader| reader.read_to_end(&mut bytes).map(drop))?;
        Ok(bytes)
    }

    #[test]
    fn a_file_between_other_pieces_has_its_announced_length() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "abcdef").unwrap();
        let pieces = |length| {
            vec![
                Piece::Bytes("<".into()),
                Piece::File(file.path().to_owned(), length),
                Piece::Bytes(">".into()),
            ]
        };
        assert_eq!(all(pieces(3)).unwrap(), b"<abc>");
        assert!(all(pieces(7)).is_err());
    }
}
