//! A blocking client that shows all bytes that the server sent.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What a client received until the end of the connection.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: io::Result<()>,
}

impl Seen {
    pub(crate) fn status(&self) -> u16 {
        let text = self.text();
        let status = text.strip_prefix("HTTP/1.1 ").and_then(|t| t.get(..3));
        status.expect("an response in HTTP/1.1").parse().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (head, _) = text.split_once("\r\n\r\n").expect("a whole head");
        let mut fields = head.lines().filter_map(|line| line.split_once(": "));
        let field = fields.find(|(is, _)| is.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.to_owned())
    }

    pub(crate) fn body(&self) -> &[u8] {
        let end = self.bytes.windows(4).position(|four| four == b"\r\n\r\n");
        &self.bytes[end.expect("a whole head") + 4..]
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn was_reset(&self) -> bool {
        let end = self.end.as_ref();
        end.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
    }
}

/// A connection whose reads time out, so that a test fails instead of hanging.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends one request and reads to the end of the connection.
pub(crate) fn exchange(address: SocketAddr, request: &str) -> Seen {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    read_all(&mut stream)
}

pub(crate) fn read_all(stream: &mut TcpStream) -> Seen {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).map(drop);
    Seen { bytes, end }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Seen {
    request(address, "GET", path, &[], "")
}

pub(crate) fn post(address: SocketAddr, path: &str, body: &str) -> Seen {
    request(address, "POST", path, &[], body)
}

pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Seen {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("content-length: {}\r\n", body.len());
    }
    exchange(address, &format!("{head}\r\n{body}"))
}

/// Reads one response with a `Content-Length` and leaves the connection open.
pub(crate) fn read_one(stream: &mut TcpStream) -> Seen {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    let mut seen = Seen { bytes, end: Ok(()) };
    let length = seen.header("content-length").expect("a length");
    let mut body = vec![0; length.parse().unwrap()];
    seen.end = stream.read_exact(&mut body);
    seen.bytes.extend(body);
    seen
}

const PATIENCE: Duration = Duration::from_secs(10);
