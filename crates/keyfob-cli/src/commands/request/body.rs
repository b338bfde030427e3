//! The request's body: in memory if it is small, so that it can be sent again; streamed if it is not.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{io, thread};

use bytes::Bytes;
use http::Method;
use http_body::{Frame, SizeHint};
use reqwest::Body;
use tokio::sync::mpsc;
use tokio::sync::mpsc::{Receiver, Sender};

use crate::output::error::CliError;

/// What is sent, and what for.
pub(super) enum Content {
    None,
    Data(Material),
    Json(Material),
    Upload(Material),
}

/// Where the bytes come from.
pub(super) enum Material {
    Kept(Bytes),
    Streamed(Streamed),
}

impl Content {
    /// Reads what the options say; large files and standard input are only opened.
    pub(super) fn read(
        data: &[String],
        json: Option<&str>,
        upload: Option<&Path>,
    ) -> Result<Self, CliError> {
        if let Some(path) = upload {
            return Ok(Self::Upload(Material::file(path)?));
        }
        if let Some(text) = json {
            return Ok(Self::Json(Material::read(text)?));
        }
        match data {
            [] => Ok(Self::None),
            [text] => Ok(Self::Data(Material::read(text)?)),
            parts => Ok(Self::Data(Material::joined(parts)?)),
        }
    }

    /// The method, if none was given.
    pub(super) fn usual_method(&self) -> Method {
        match self {
            Self::None => Method::GET,
            Self::Data(_) | Self::Json(_) => Method::POST,
            Self::Upload(_) => Method::PUT,
        }
    }

    /// How many bytes there are, if that is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self.material()? {
            Material::Kept(bytes) => Some(bytes.len() as u64),
            Material::Streamed(streamed) => streamed.left,
        }
    }

    pub(super) fn into_body(self) -> Option<Body> {
        match self {
            Self::None => None,
            Self::Data(material) | Self::Json(material) | Self::Upload(material) => {
                Some(material.into_body())
            }
        }
    }

    fn material(&self) -> Option<&Material> {
        match self {
            Self::None => None,
            Self::Data(material) | Self::Json(material) | Self::Upload(material) => Some(material),
        }
    }
}

impl Material {
    /// Text as it is, `@FILE`, or `@-`.
    fn read(text: &str) -> Result<Self, CliError> {
        match text.strip_prefix('@') {
            None => Ok(Self::Kept(Bytes::copy_from_slice(text.as_bytes()))),
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
        Ok(Self::Kept(whole.into()))
    }

    fn file(path: &Path) -> Result<Self, CliError> {
        let shown = path.display();
        let file = open(path)?;
        let metadata = file
            .metadata()
            .map_err(|fault| CliError::failed(format!("{shown} cannot be read"), &fault))?;
        if metadata.is_dir() {
            return Err(CliError::usage(format!("{shown} is a folder; name a file")));
        }
        if !metadata.is_file() {
            return Ok(Self::Streamed(Streamed::new(file, None)));
        }
        if metadata.len() > KEPT_AT_MOST {
            return Ok(Self::Streamed(Streamed::new(file, Some(metadata.len()))));
        }
        let mut bytes = Vec::new();
        append(&mut bytes, file, &shown.to_string())?;
        Ok(Self::Kept(bytes.into()))
    }

    fn into_body(self) -> Body {
        match self {
            Self::Kept(bytes) => Body::from(bytes),
            Self::Streamed(streamed) => Body::wrap(streamed),
        }
    }
}

fn open(path: &Path) -> Result<File, CliError> {
    File::open(path)
        .map_err(|fault| CliError::failed(format!("{} cannot be read", path.display()), &fault))
}

fn append(bytes: &mut Vec<u8>, mut from: impl Read, name: &str) -> Result<(), CliError> {
    from.read_to_end(bytes)
        .map(drop)
        .map_err(|fault| CliError::failed(format!("{name} cannot be read"), &fault))
}

/// A body that is read piece by piece while it is sent.
///
/// A thread reads it, because a read of a pipe or of a terminal may last for ever, and the end of the program must not
/// wait for that.
pub(super) struct Streamed {
    pieces: Receiver<io::Result<Bytes>>,
    left: Option<u64>,
}

impl Streamed {
    /// Streams what the reader gives; `length` bytes of it, if given.
    fn new(reader: impl Read + Send + 'static, length: Option<u64>) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        match length {
            // What is appended meanwhile was not promised.
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
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
            Err(fault) => Err(fault),
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
            let is_whole = self.left.is_none();
            return Poll::Ready((!is_whole).then(|| Err(io::Error::other(SHORTENED))));
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

const SHORTENED: &str = "the file became shorter while it was sent";

/// A file up to this size is kept in memory, so that it can be sent again after a 401 or a failure.
const KEPT_AT_MOST: u64 = 1024 * 1024;

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
    fn a_file_that_grows_is_sent_as_long_as_promised() {
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
        let Material::Kept(bytes) = Material::joined(&parts).unwrap() else {
            panic!("kept");
        };
        assert_eq!(bytes, "a=1&b=2");
    }
}
