//! Shows at the terminal what a helper writes to its standard error, such as "open this URL", while it runs.

use std::ffi::OsStr;
use std::io::{IsTerminal, Stderr, Write, stderr};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::printable::printable;
use crate::source::command::redact::redact_line;

/// A writer of whole lines. What is incomplete is written when it is dropped.
///
/// A line is redacted as a whole, because a part of it may lack the word that marks the rest as a secret.
pub(super) struct ShownStderr<W: Write = Stderr> {
    program: String,
    line: Zeroizing<Vec<u8>>,
    out: W,
}

impl ShownStderr {
    /// A writer to this process's standard error; `None` if that is no terminal, where a person could read it.
    pub(super) fn at_terminal(program: &OsStr) -> Option<Self> {
        let out = stderr();
        out.is_terminal().then(|| Self::new(program, out))
    }
}

impl<W: Write> ShownStderr<W> {
    fn new(program: &OsStr, out: W) -> Self {
        let name = Path::new(program).file_name().unwrap_or(program);
        Self {
            program: printable(name.display()),
            line: Zeroizing::new(Vec::with_capacity(LINE_LIMIT)),
            out,
        }
    }

    pub(super) fn write(&mut self, chunk: &[u8]) {
        for byte in chunk {
            match byte {
                b'\n' | b'\r' => self.end_line(),
                // The rest of a longer line is not shown. The vector never grows, which would leave a copy behind.
                _ if self.line.len() < LINE_LIMIT => self.line.push(*byte),
                _ => {}
            }
        }
    }

    fn end_line(&mut self) {
        let shown = redact_line(&String::from_utf8_lossy(&self.line));
        self.line.clear();
        if !shown.is_empty() {
            // If the terminal is gone, no person waits for it.
            let _ = writeln!(self.out, "{}: {shown}", self.program);
        }
    }
}

impl<W: Write> Drop for ShownStderr<W> {
    fn drop(&mut self) {
        self.end_line();
    }
}

/// The longest line that is shown, in bytes.
const LINE_LIMIT: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(chunks: &[&str]) -> String {
        let mut out = Vec::new();
        let mut lines = ShownStderr::new(OsStr::new("/usr/bin/az"), &mut out);
        for chunk in chunks {
            lines.write(chunk.as_bytes());
        }
        drop(lines);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn whole_lines_are_shown_with_the_name_of_the_program() {
        assert_eq!(
            shown(&[
                "Open https://login.exa",
                "mple.com/device\nand en",
                "ter ABCD-EFGH\r\n\n"
            ]),
            "az: Open https://login.example.com/device\naz: and enter ABCD-EFGH\n"
        );
        assert_eq!(shown(&["no line end"]), "az: no line end\n");
    }

    #[test]
    fn s3_a_secret_or_a_control_character_is_not_shown() {
        let text = shown(&[
            "tok",
            "en=s3cr3t\n\u{1b}]0;x\u{7}\u{1b}[2J",
            "password: s3cr3t\n",
        ]);
        assert!(
            !text.contains("s3cr3t") && !text.contains('\u{1b}'),
            "{text:?}"
        );
        let long = shown(&[&"x".repeat(LINE_LIMIT), " tail\nnext\n"]);
        assert!(
            !long.contains("tail") && long.ends_with("az: next\n"),
            "{long}"
        );
    }
}
