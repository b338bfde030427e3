//! One line of JSON for each request of a proxy: who asked for what, and how it ended (P7, S1).

use std::borrow::Cow;
use std::fmt;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::Serialize;

use crate::observe::proxy as events;
use crate::runtime::lock::{Mutex, lock};

/// A log with one line of JSON for each request.
///
/// A line holds no secret and no query. A thread of its own writes the lines, so that a slow disk or reader delays no request. If it
/// falls far behind, lines are dropped and counted.
pub struct AccessLog {
    lines: Mutex<Option<SyncSender<Vec<u8>>>>,
    lost: AtomicU64,
    ended: Mutex<Receiver<()>>,
}

/// What one line says. A field that is not known is `null`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Entry<'a> {
    pub(crate) time: String,
    pub(crate) client: Option<Arc<str>>,
    pub(crate) listener: &'a str,
    pub(crate) route: Option<&'a str>,
    pub(crate) method: Cow<'a, str>,
    pub(crate) path: Cow<'a, str>,
    pub(crate) status: Option<u16>,
    pub(crate) retries: u32,
    pub(crate) renewals: u32,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) milliseconds: f64,
    pub(crate) error: Option<&'static str>,
}

impl AccessLog {
    /// Writes the lines to this file or stream, and flushes it when there are no more.
    ///
    /// # Errors
    ///
    /// Any error of the system, if it refuses to start a thread.
    pub fn new(target: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (lines, received) = sync_channel(WAITING);
        let (end, ended) = channel();
        thread::Builder::new()
            .name("keyfob-access-log".to_owned())
            .spawn(move || {
                write_lines(&received, BufWriter::new(target));
                drop(end);
            })?;
        Ok(Self {
            lines: Mutex::new(Some(lines)),
            lost: AtomicU64::new(0),
            ended: Mutex::new(ended),
        })
    }

    /// How many lines were dropped.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Writes the lines that wait, for at most this time. Later lines are dropped.
    pub fn close(&self, timeout: Duration) {
        drop(lock(&self.lines).take());
        // The end of the thread closes the channel.
        let _ = lock(&self.ended).recv_timeout(timeout);
    }

    pub(crate) fn write(&self, entry: &Entry<'_>) {
        let Ok(mut line) = serde_json::to_vec(entry) else {
            return;
        };
        line.push(b'\n');
        let lines = lock(&self.lines);
        let sent = lines.as_ref().map(|lines| lines.try_send(line));
        if !matches!(sent, Some(Ok(()))) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").finish_non_exhaustive()
    }
}

fn write_lines(lines: &Receiver<Vec<u8>>, mut target: impl Write) {
    let mut has_failed = false;
    while let Ok(line) = lines.recv() {
        let mut more = std::iter::once(line).chain(lines.try_iter());
        let written = more.try_for_each(|line| target.write_all(&line));
        let written = written.and_then(|()| target.flush());
        // A full disk is reported once, and not with each request.
        if let (Err(error), false) = (&written, has_failed) {
            events::access_log_failed(error);
        }
        has_failed = written.is_err();
    }
}

/// The time as RFC 3339 has it, in UTC, with milliseconds.
pub(crate) fn time_text(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    DateTimePrinter::new()
        .precision(Some(3))
        .timestamp_to_string(&time)
}

/// The path in a line.
pub(crate) fn path_text(path: &str) -> Cow<'_, str> {
    visible(path, LONGEST_PATH)
}

/// The method in a line. A client can make one up.
pub(crate) fn method_text(method: &str) -> Cow<'_, str> {
    visible(method, LONGEST_METHOD)
}

/// A text that can neither control a terminal nor end a line: what is not visible ASCII is percent-encoded, and what is too long cut off.
fn visible(whole: &str, longest: usize) -> Cow<'_, str> {
    if whole.len() <= longest && whole.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Cow::Borrowed(whole);
    }
    let mut text = String::new();
    for byte in whole.bytes() {
        if text.len() >= longest {
            text.push('…');
            break;
        }
        match byte.is_ascii_graphic() {
            true => text.push(char::from(byte)),
            false => text.push_str(&format!("%{byte:02X}")),
        }
    }
    Cow::Owned(text)
}

/// How many lines may wait to be written.
const WAITING: usize = 4096;

/// In bytes.
const LONGEST_PATH: usize = 2048;
const LONGEST_METHOD: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// A target that shows what was written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_request_is_one_line_of_json() {
        let written = Written::default();
        let log = AccessLog::new(written.clone()).unwrap();
        let path = path_text("/a\"b");
        for _ in 0..100 {
            log.write(&Entry {
                path: path.clone(),
                ..Entry::default()
            });
        }
        log.close(Duration::from_secs(10));
        log.write(&Entry::default());
        assert_eq!(log.lost(), 1);
        let text = String::from_utf8(lock(&written.0).clone()).unwrap();
        assert_eq!(text.lines().count(), 100);
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(line["path"], "/a\"b");
        assert!(line["route"].is_null());
    }

    #[test]
    fn s1_a_path_can_neither_obey_a_terminal_nor_end_a_line() {
        assert_eq!(path_text("/a%0A/b"), "/a%0A/b");
        assert_eq!(
            path_text("/a\n\u{1b}[2J\u{202e} \u{7f}"),
            "/a%0A%1B[2J%E2%80%AE%20%7F"
        );
        assert_eq!(
            path_text(&"x".repeat(9000)).len(),
            LONGEST_PATH + '…'.len_utf8()
        );
        assert_eq!(method_text("GET"), "GET");
        assert_eq!(
            method_text(&"x".repeat(9000)).len(),
            LONGEST_METHOD + '…'.len_utf8()
        );
    }

    #[test]
    fn a_time_has_milliseconds() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        assert_eq!(time_text(time), "2023-11-14T22:13:20.123Z");
    }
}
