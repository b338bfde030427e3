//! Reads along as requests of HTTP/1.1 arrive, and finds those that another reader could understand in another way.
//!
//! `hyper` drops a second equal `Content-Length`, a `Content-Length` next to `Transfer-Encoding`, and a fragment, and accepts a
//! line that ends without a carriage return. A server in front of the proxy may read such a request in another way, so that
//! the two do not agree where the next one begins (RFC 9112 §11.2).

use std::mem;

use memchr::{memchr, memchr3};

/// What was read of a connection so far.
#[derive(Debug)]
pub(crate) struct RequestReader {
    expects: Expects,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    head: Head,
    switch: Switch,
    is_first_line: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Line(Line),
    /// So many bytes of a body, and then this line.
    Bytes(u64, Line),
    /// What follows is not HTTP/1.1.
    Anything,
    /// The connection was refused.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Request,
    Field,
    ChunkSize,
    /// The empty line after the data of a chunk.
    ChunkEnd,
    Trailer,
}

/// What a head says about the length of its body, and about what follows.
#[derive(Debug, Default)]
struct Head {
    length: Option<u64>,
    is_chunked: bool,
    switch: Switch,
}

/// Whether the connection changes to another protocol if the server agrees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Switch {
    #[default]
    No,
    Upgrade,
    Tunnel,
}

impl RequestReader {
    pub(crate) fn new() -> Self {
        Self {
            expects: Expects::Line(Line::Request),
            line: Vec::new(),
            head: Head::default(),
            switch: Switch::No,
            is_first_line: true,
        }
    }

    /// Whether the connection was refused, and nothing more is read from it.
    pub(crate) fn has_refused(&self) -> bool {
        self.expects == Expects::Nothing
    }

    /// Reads the next bytes, and returns how many of them go to the server.
    ///
    /// The line that is refused ends with a NUL in place of its line feed, for which the server refuses the request in turn.
    pub(crate) fn read(&mut self, data: &mut [u8]) -> usize {
        let mut at = 0;
        while at < data.len() {
            match self.expects {
                Expects::Anything => return data.len(),
                Expects::Nothing => return at,
                Expects::Bytes(left, next) => {
                    let here = left.min((data.len() - at) as u64);
                    at += usize::try_from(here).expect("it is at most a length");
                    self.expects = match left - here {
                        0 => Expects::Line(next),
                        left => Expects::Bytes(left, next),
                    };
                }
                Expects::Line(line) => {
                    let rest = &data[at..];
                    let Some(end) = memchr(b'\n', rest) else {
                        self.line.extend_from_slice(rest);
                        return data.len();
                    };
                    let expects = self.read_line(line, &rest[..=end]);
                    self.expects = expects.unwrap_or(Expects::Nothing);
                    at += end + 1;
                    if expects.is_none() {
                        data[at - 1] = 0;
                    }
                }
            }
        }
        at
    }

    /// Learns from the beginning of what the server writes whether it agrees to another protocol.
    pub(crate) fn observe_response(&mut self, data: &[u8]) {
        // Python opens tunnels with HTTP/1.0, and the server responds likewise.
        let status = data
            .strip_prefix(b"HTTP/1.1 ")
            .or_else(|| data.strip_prefix(b"HTTP/1.0 "));
        let (Some(status), true) = (status, self.switch != Switch::No) else {
            return;
        };
        let agrees = match self.switch {
            Switch::Tunnel => status.starts_with(b"2"),
            _ => status.starts_with(b"101"),
        };
        if agrees {
            self.expects = Expects::Anything;
        }
        if !status.starts_with(b"100") {
            self.switch = Switch::No;
        }
    }

    /// Reads the end of a line; `None` if it is refused.
    fn read_line(&mut self, kind: Line, end: &[u8]) -> Option<Expects> {
        let mut whole = mem::take(&mut self.line);
        let line = match whole.is_empty() {
            true => end,
            false => {
                whole.extend_from_slice(end);
                &whole
            }
        };
        let line = line.strip_suffix(b"\r\n")?;
        if memchr3(b'\r', b'\n', 0, line).is_some() {
            return None;
        }
        match kind {
            Line::Request => self.request_line(line),
            Line::Field if line.is_empty() => Some(self.end_of_head()),
            Line::Field => self.head.read(line).map(|()| Expects::Line(Line::Field)),
            Line::ChunkSize => chunk_size(line),
            Line::ChunkEnd => line.is_empty().then_some(Expects::Line(Line::ChunkSize)),
            Line::Trailer if line.is_empty() => Some(Expects::Line(Line::Request)),
            Line::Trailer => field(line).map(|_| Expects::Line(Line::Trailer)),
        }
    }

    fn request_line(&mut self, line: &[u8]) -> Option<Expects> {
        // RFC 9112 §2.2 allows an empty line before a request.
        if line.is_empty() {
            return Some(Expects::Line(Line::Request));
        }
        let is_first = mem::take(&mut self.is_first_line);
        if is_first && line == HTTP2 {
            return Some(Expects::Anything);
        }
        self.head = Head::default();
        if line.starts_with(b"CONNECT ") {
            self.head.switch = Switch::Tunnel;
        }
        (!line.contains(&b'#')).then_some(Expects::Line(Line::Field))
    }

    fn end_of_head(&mut self) -> Expects {
        self.switch = self.head.switch;
        match self.head.length {
            _ if self.head.is_chunked => Expects::Line(Line::ChunkSize),
            None | Some(0) => Expects::Line(Line::Request),
            Some(length) => Expects::Bytes(length, Line::Request),
        }
    }
}

impl Head {
    fn read(&mut self, line: &[u8]) -> Option<()> {
        let (name, value) = field(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            let is_alone = self.length.is_none() && !self.is_chunked;
            self.length = Some(number(value, 10)?);
            return is_alone.then_some(());
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let is_alone = self.length.is_none() && !self.is_chunked;
            self.is_chunked = value.eq_ignore_ascii_case(b"chunked");
            return (is_alone && self.is_chunked).then_some(());
        }
        // The proxy leaves out an offer of HTTP/2.
        if name.eq_ignore_ascii_case(b"upgrade")
            && !value.eq_ignore_ascii_case(b"h2c")
            && self.switch == Switch::No
        {
            self.switch = Switch::Upgrade;
        }
        Some(())
    }
}

/// The name and value of a field line (RFC 9112 §5). A name has no space, so a folded line and a space before the colon
/// are refused.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', line)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    is_name.then(|| (name, value.trim_ascii()))
}

/// The line in front of the data of a chunk (RFC 9112 §7.1). Extensions are left to the server.
fn chunk_size(line: &[u8]) -> Option<Expects> {
    let digits = match line.iter().position(|&byte| byte == b';') {
        Some(semicolon) => line[..semicolon].trim_ascii_end(),
        None => line,
    };
    Some(match number(digits, 16)? {
        0 => Expects::Line(Line::Trailer),
        size => Expects::Bytes(size, Line::ChunkEnd),
    })
}

/// A number in digits alone.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, &digit| {
        let digit = char::from(digit).to_digit(radix)?;
        number
            .checked_mul(u64::from(radix))?
            .checked_add(u64::from(digit))
    })
}

/// The first line of a connection that speaks HTTP/2 (RFC 9113 §3.4).
const HTTP2: &[u8] = b"PRI * HTTP/2.0";

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server gets of these bytes, however they are cut.
    fn read(bytes: &[u8]) -> Vec<u8> {
        let whole = read_in_parts(bytes, bytes.len());
        for size in 1..bytes.len() {
            assert_eq!(read_in_parts(bytes, size), whole, "parts of {size} bytes");
        }
        whole
    }

    fn read_in_parts(bytes: &[u8], size: usize) -> Vec<u8> {
        let mut reader = RequestReader::new();
        let mut passed = Vec::new();
        for part in bytes.chunks(size) {
            let mut part = part.to_vec();
            let length = reader.read(&mut part);
            passed.extend_from_slice(&part[..length]);
        }
        passed
    }

    fn passes(request: &str) -> bool {
        // A request follows, so that it is seen where the first one ends.
        let both = format!("{request}GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        read(both.as_bytes()) == both.as_bytes()
    }

    #[test]
    fn p2_requests_in_order_pass_unchanged() {
        for request in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na\nb\nc",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\t0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\na\nb\r\n00\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nA ;x=\"y\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nX: ü: y\r\nEmpty:\r\nUpgrade: h2c\r\n\r\n",
        ] {
            assert!(passes(request), "{request:?}");
        }
    }

    #[test]
    fn p2_a_request_that_can_be_read_in_two_ways_is_refused() {
        let head = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        for fields in [
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding:\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Content-Length : 5\r\n",
            " Content-Length: 5\r\n",
            "X: a\r\n\tb\r\n",
            "X: a\nY: b\r\n",
            "X: a\rY: b\r\n",
            "X: a\0\r\n",
            "X\r\n",
            ": x\r\n",
        ] {
            assert!(!passes(&head(fields)), "{fields:?}");
        }
        for request in [
            "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
        ] {
            assert!(!passes(request), "{request:?}");
        }
        for chunks in [
            "5\nhello\r\n0\r\n\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhellooo\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            "\r\n0\r\n\r\n",
            "10000000000000000\r\n",
            "0\r\nX : y\r\n\r\n",
        ] {
            assert!(
                !passes(&(head("Transfer-Encoding: chunked\r\n") + chunks)),
                "{chunks:?}"
            );
        }
    }

    #[test]
    fn p2_what_is_refused_ends_with_a_nul() {
        let request = b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello";
        let passed = read(request);
        assert!(passed.ends_with(b"Content-Length: 5\r\0"), "{passed:?}");
    }

    #[test]
    fn p5_another_protocol_passes_once_both_sides_have_agreed() {
        let upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
        let frame = b"\x81\x05he\nlo";
        for (response, passes) in [
            (&b"HTTP/1.1 101 Switching Protocols\r\n"[..], true),
            (b"HTTP/1.1 200 OK\r\n", false),
        ] {
            let mut reader = RequestReader::new();
            assert_eq!(reader.read(&mut upgrade.clone()), upgrade.len());
            reader.observe_response(response);
            let mut frame = *frame;
            let read = reader.read(&mut frame);
            assert_eq!(read == frame.len() && !reader.has_refused(), passes);
        }
    }

    #[test]
    fn p5_http_2_passes_only_at_the_beginning() {
        let mut preface = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\n\0";
        let mut reader = RequestReader::new();
        assert_eq!(reader.read(&mut preface), preface.len());
        assert!(!reader.has_refused());
        let late = [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &preface[..]].concat();
        assert_ne!(read(&late), late);
    }
}
