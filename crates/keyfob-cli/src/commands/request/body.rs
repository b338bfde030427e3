//! The request body: in memory if it is small, so that it can be sent again; otherwise streamed.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{io, thread};

use bytes::Bytes;
use http::Method;
use http_body::{Frame, SizeHint};
use keyfob::error::shown_name;
use reqwest::Body;
use tokio::sync::mpsc;
use tokio::sync::mpsc::{Receiver, Sender};

use crate::output::error::CliError;

/// The body, and the option that it comes from.
pub(super) enum RequestBody {
    None,
    Data(Payload),
    Json(Payload),
    Upload(Payload),
}

/// The bytes of a body.
pub(super) enum Payload {
    InMemory(Bytes),
    Streamed(Streamed),
}

impl RequestBody {
    /// Reads the body that the options name. Large files and standard input are only opened.
    pub(super) fn read(
        data: &[String],
        json: Option<&str>,
        upload: Option<&Path>,
    ) -> Result<Self, CliError> {
        if let Some(path) = upload {
            return Ok(Self::Upload(Payload::file(path)?));
        }
        if let Some(text) = json {
            return Ok(Self::Json(Payload::read(text)?));
        }
        match data {
            [] => Ok(Self::None),
            [text] => Ok(Self::Data(Payload::read(text)?)),
            parts => Ok(Self::Data(Payload::joined(parts)?)),
        }
    }

    /// The method, unless one is given.
    pub(super) fn default_method(&self) -> Method {
        match self {
            Self::None => Method::GET,
            Self::Data(_) | Self::Json(_) => Method::POST,
            Self::Upload(_) => Method::PUT,
        }
    }

    /// The number of bytes, if it is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self.payload()? {
            Payload::InMemory(bytes) => Some(bytes.len() as u64),
            Payload::Streamed(streamed) => streamed.left,
        }
    }

    pub(super) fn into_reqwest(self) -> Option<Body> {
        match self {
            Self::None => None,
            Self::Data(payload) | Self::Json(payload) | Self::Upload(payload) => {
                Some(payload.into_reqwest())
            }
        }
    }

    fn payload(&self) -> Option<&Payload> {
        match self {
            Self::None => None,
            Self::Data(payload) | Self::Json(payload) | Self::Upload(payload) => Some(payload),
        }
    }
}

impl Payload {
    /// The text itself, or the contents of `@FILE`, or of `@-`, standard input.
    fn read(text: &str) -> Result<Self, CliError> {
        match text.strip_prefix('@') {
            None => Ok(Self::InMemory(Bytes::copy_from_slice(text.as_bytes()))),
            Some("-") => Ok(Self::Streamed(Streamed::new(stdin(), None))),
            Some(path) => Self::file(Path::new(path)),
        }
    }

    fn joined(parts: &[String]) -> Result<Self, CliError> {
        let mut whole = Vec::new();
        for (index, text) in parts.iter().enumerate() {
            if index > 0 {
                whole.push(b'&');
            }
            match text.strip_prefix('@') {
                None => whole.extend_from_slice(text.as_bytes()),
                Some("-") => append(&mut whole, stdin(), "standard input")?,
                Some(path) => append(&mut whole, open(Path::new(path))?, path)?,
            }
        }
        Ok(Self::InMemory(whole.into()))
    }

    fn file(path: &Path) -> Result<Self, CliError> {
        let shown = path.display();
        let file = open(path)?;
        let metadata = file
            .metadata()
            .map_err(|error| CliError::unreadable(&shown, &error))?;
        if metadata.is_dir() {
            return Err(CliError::usage(format!(
                "{shown} is a directory; name a file"
            )));
        }
        if !metadata.is_file() {
            return Ok(Self::Streamed(Streamed::new(file, None)));
        }
        if metadata.len() > IN_MEMORY_LIMIT {
            return Ok(Self::Streamed(Streamed::new(file, Some(metadata.len()))));
        }
        let mut bytes = Vec::new();
        append(&mut bytes, file, &shown.to_string())?;
        Ok(Self::InMemory(bytes.into()))
    }

    fn into_reqwest(self) -> Body {
        match self {
            Self::InMemory(bytes) => Body::from(bytes),
            Self::Streamed(streamed) => Body::wrap(streamed),
        }
    }
}

fn open(path: &Path) -> Result<File, CliError> {
    File::open(path).map_err(|error| {
        let shown = shown_name(&path.to_string_lossy());
        CliError::unreadable(&shown, &error)
    })
}

fn append(bytes: &mut Vec<u8>, mut from: impl Read, name: &str) -> Result<(), CliError> {
    from.read_to_end(bytes)
        .map(drop)
        .map_err(|error| CliError::unreadable(name, &error))
}

/// A body that is read in pieces while it is sent.
///
/// Its own thread reads it: a read of a pipe or a terminal may never return, and the program must be able to end without it.
pub(super) struct Streamed {
    pieces: Receiver<io::Result<Bytes>>,
    left: Option<u64>,
}

impl Streamed {
    /// Streams a reader: `length` bytes if given, otherwise all.
    fn new(reader: impl Read + Send + 'static, length: Option<u64>) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        match length {
            // A file that grows while it is sent must not exceed the announced length.
            Some(length) => thread::spawn(move || read(reader.take(length), &sender)),
            None => thread::spawn(move || read(reader, &sender)),
        };
        Self {
            pieces,
            left: length,
        }
    }
}

fn read(mut reader: impl Read, sender: &Sender<io::Result<Bytes>>) {
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => Ok(Bytes::copy_from_slice(&buffer[..length])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = piece.is_err();
        if sender.blocking_send(piece).is_err() || is_last {
            return;
        }
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == Some(0) {
            return Poll::Ready(None);
        }
        let Some(piece) = ready!(self.pieces.poll_recv(context)) else {
            let is_truncated = self.left.is_some();
            return Poll::Ready(is_truncated.then(|| Err(io::Error::other(TRUNCATED))));
        };
        if let (Some(left), Ok(piece)) = (&mut self.left, &piece) {
            *left -= piece.len() as u64;
        }
        Poll::Ready(Some(piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

const TRUNCATED: &str = "the file became shorter while it was sent";

/// A file up to this size is held in memory, so that it can be sent again after a 401 or a failure.
const IN_MEMORY_LIMIT: u64 = 1024 * 1024;

const PIECE: usize = 64 * 1024;
const PIECES_AHEAD: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn polled(body: &mut Streamed) -> Option<io::Result<Bytes>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let next = std::future::poll_fn(|context| {
            http_body::Body::poll_frame(Pin::new(&mut *body), context)
        });
        let frame = runtime.block_on(next)?;
        Some(frame.map(|frame| frame.into_data().unwrap()))
    }

    #[test]
    fn a_file_that_grows_is_sent_with_its_first_length() {
        let mut body = Streamed::new(&b"abcdef"[..], Some(3));
        assert_eq!(polled(&mut body).unwrap().unwrap(), "abc");
        assert!(polled(&mut body).is_none());
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let mut body = Streamed::new(&b"ab"[..], Some(3));
        assert_eq!(polled(&mut body).unwrap().unwrap(), "ab");
        assert!(polled(&mut body).unwrap().is_err());
    }

    #[test]
    fn parts_are_joined_as_a_form() {
        let parts = ["a=1".to_owned(), "b=2".to_owned()];
        let Payload::InMemory(bytes) = Payload::joined(&parts).unwrap() else {
            panic!("the parts are in memory");
        };
        assert_eq!(bytes, "a=1&b=2");
    }
}
