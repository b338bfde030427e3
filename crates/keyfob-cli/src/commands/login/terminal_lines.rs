//! The lines that a person types.

use std::io::{BufRead, IsTerminal, stdin};
use std::thread;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The lines of standard input, until it ends.
///
/// They are read on a thread of its own, which ends with the program: a read from a terminal cannot be cancelled, and the end of the
/// runtime would wait for it.
pub(super) fn terminal_lines() -> UnboundedReceiver<String> {
    let (sender, lines) = unbounded_channel();
    if is_readable() {
        thread::spawn(move || {
            let mut input = stdin().lock();
            let mut line = Vec::new();
            let mut read = || {
                line.clear();
                let read = input.read_until(b'\n', &mut line).ok()?;
                // A line that is not UTF-8 is no address, and is reported as such.
                (read > 0).then(|| String::from_utf8_lossy(&line).into_owned())
            };
            while let Some(line) = read() {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    }
    lines
}

/// False for a terminal that belongs to another job: reading from it would stop a program in the background.
#[cfg(unix)]
fn is_readable() -> bool {
    use rustix::process::getpgrp;
    use rustix::termios::tcgetpgrp;

    !stdin().is_terminal() || tcgetpgrp(stdin()).is_ok_and(|foreground| foreground == getpgrp())
}

#[cfg(not(unix))]
fn is_readable() -> bool {
    true
}

/// Whether a terminal may have cut this line, without a word.
pub(super) fn may_be_cut(line: &str) -> bool {
    cfg!(unix) && stdin().is_terminal() && line.trim_end_matches('\n').len() >= LONGEST_LINE
}

/// A terminal of Linux cuts a line that is longer (`N_TTY_BUF_SIZE`).
const LONGEST_LINE: usize = 4095;
