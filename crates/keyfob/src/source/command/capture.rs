//! Reads what a helper prints into memory that is bounded, and wiped afterwards.

use std::io;
use std::io::{PipeReader, Read};
use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use crate::runtime::lock::{Mutex, lock};

/// The bytes of one stream.
pub(super) struct Capture {
    bytes: Zeroizing<Vec<u8>>,
    limit: usize,
    excess: Excess,
    cut: bool,
}

/// What happens to bytes beyond the limit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Excess {
    /// Reading ends.
    Refuse,
    /// The oldest bytes are dropped.
    DropOldest,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    TooLong,
}

impl Capture {
    pub(super) fn new(limit: usize, excess: Excess) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            bytes: Zeroizing::default(),
            limit,
            excess,
            cut: false,
        }))
    }

    /// Takes the bytes out. A reader that still runs stops at the next byte that it gets.
    pub(super) fn take(capture: &Mutex<Self>) -> Zeroizing<Vec<u8>> {
        let mut capture = lock(capture);
        capture.limit = 0;
        capture.excess = Excess::Refuse;
        let mut bytes = std::mem::take(&mut capture.bytes);
        if capture.cut {
            // Start with a whole line: the dropped part may have held the word that marks what follows as a secret.
            let line = bytes.iter().position(|byte| *byte == b'\n');
            let start = line.map_or(bytes.len(), |end| end + 1);
            bytes.copy_within(start.., 0);
            let length = bytes.len() - start;
            bytes[length..].zeroize();
            bytes.truncate(length);
        }
        bytes
    }

    /// Appends the bytes; `false` if there was no room.
    fn append(&mut self, chunk: &[u8]) -> bool {
        let needed = self.bytes.len() + chunk.len();
        if needed <= self.limit {
            self.grow(needed);
            self.bytes.extend_from_slice(chunk);
            return true;
        }
        if self.excess == Excess::Refuse {
            return false;
        }
        self.cut = true;
        let chunk = &chunk[chunk.len().saturating_sub(self.limit)..];
        let kept = self.bytes.len().min(self.limit - chunk.len());
        let start = self.bytes.len() - kept;
        self.bytes.copy_within(start.., 0);
        self.bytes[kept..].zeroize();
        self.bytes.truncate(kept);
        self.grow(kept + chunk.len());
        self.bytes.extend_from_slice(chunk);
        true
    }

    /// Makes room. A `Vec` that grows by itself leaves a copy behind that is not wiped.
    fn grow(&mut self, needed: usize) {
        if needed <= self.bytes.capacity() {
            return;
        }
        let room = needed.next_power_of_two().max(CHUNK).min(self.limit);
        let mut larger = Zeroizing::new(Vec::with_capacity(room));
        larger.extend_from_slice(&self.bytes);
        self.bytes = larger;
    }
}

/// A stream that a helper writes to.
pub(super) trait Pipe: Read {
    /// Waits until there is something to read; `false` if the run has ended, and its end of `stop` is closed.
    ///
    /// A process that the helper left running may keep the pipe open for ever. Its reader must not wait for that.
    fn wait(&self, _stop: &PipeReader) -> bool {
        true
    }
}

#[cfg(unix)]
impl<P: Read + std::os::fd::AsFd> Pipe for P {
    fn wait(&self, stop: &PipeReader) -> bool {
        use rustix::event::{PollFd, PollFlags, poll};

        let mut both = [
            PollFd::new(self, PollFlags::IN),
            PollFd::new(stop, PollFlags::IN),
        ];
        while let Err(rustix::io::Errno::INTR) = poll(&mut both, None) {}
        both[1].revents().is_empty()
    }
}

// Other systems have no wait for two pipes. There a reader stays until the process that was left running ends.
#[cfg(not(unix))]
impl<P: Read> Pipe for P {}

/// Reads a stream until it ends, cannot be read, exceeds the limit, or is told to stop. Passes on what it reads.
pub(super) fn read(
    mut stream: impl Pipe,
    stop: &PipeReader,
    capture: &Mutex<Capture>,
    mut pass_on: impl FnMut(&[u8]),
) -> End {
    let mut chunk = Zeroizing::new([0; CHUNK]);
    loop {
        if !stream.wait(stop) {
            return End::Closed;
        }
        let length = match stream.read(&mut chunk[..]) {
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => return End::Closed,
            Ok(length) => length,
        };
        pass_on(&chunk[..length]);
        if !lock(capture).append(&chunk[..length]) {
            return End::TooLong;
        }
        // The next read may block for long, and the secret should not stay in the buffer meanwhile.
        chunk[..length].zeroize();
    }
}

const CHUNK: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::thread;

    use super::*;

    fn read(text: &[u8], capture: &Mutex<Capture>) -> End {
        let (stop, _writer) = io::pipe().unwrap();
        let (output, mut input) = io::pipe().unwrap();
        thread::scope(|scope| {
            // It fails where the reader stops early.
            scope.spawn(move || _ = input.write_all(text));
            super::read(output, &stop, capture, |_| {})
        })
    }

    #[test]
    fn output_up_to_the_limit_is_kept_and_one_byte_more_ends_it() {
        let capture = Capture::new(20_000, Excess::Refuse);
        assert_eq!(read(&[7; 20_000], &capture), End::Closed);
        assert_eq!(Capture::take(&capture).len(), 20_000);
        let capture = Capture::new(20_000, Excess::Refuse);
        assert_eq!(read(&[7; 20_001], &capture), End::TooLong);
    }

    #[test]
    fn the_end_of_a_long_stream_is_kept_in_whole_lines() {
        let capture = Capture::new(20, Excess::DropOldest);
        for chunk in ["a secret's head\n", "first line\n", "last line\n"] {
            assert_eq!(read(chunk.as_bytes(), &capture), End::Closed);
        }
        assert_eq!(&**Capture::take(&capture), b"last line\n");
    }

    #[test]
    fn a_long_stream_without_a_line_end_is_dropped() {
        let capture = Capture::new(20, Excess::DropOldest);
        assert_eq!(read(&[b'x'; 100_000], &capture), End::Closed);
        assert!(Capture::take(&capture).is_empty());
    }

    #[test]
    fn a_reader_stops_after_the_bytes_were_taken() {
        let capture = Capture::new(20, Excess::DropOldest);
        Capture::take(&capture);
        assert_eq!(read(b"late", &capture), End::TooLong);
    }
}
