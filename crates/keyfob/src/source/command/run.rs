//! Runs a helper with limits on its time and output, and kills it if the caller goes away.
//!
//! One thread starts the helper and waits for events. Only this thread kills and reaps the helper: after a process is
//! reaped, its number may belong to another process, which a late signal would hit. Other threads wait for the end of the
//! helper and read its output; they only send events. A caller that goes away sends one too, by dropping its
//! [`KillOnDrop`].

use std::io::Write;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use zeroize::Zeroizing;

use crate::source::command::capture;
use crate::source::command::capture::{Capture, End, Excess};
use crate::source::command::shown_stderr::ShownStderr;

/// How long a helper may run, and how many bytes it may print.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) timeout: Duration,
    pub(super) output: usize,
}

/// The result of a run.
pub(super) struct Run {
    pub(super) ending: Ending,
    pub(super) stdout: Zeroizing<Vec<u8>>,
    pub(super) stderr: Zeroizing<Vec<u8>>,
}

/// Why a run ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// The helper exited by itself.
    Exited(ExitStatus),
    /// It was killed after the timeout.
    TimedOut,
    /// It was killed because it printed too much.
    OutputTooLong,
    /// It was killed because the fetch was dropped.
    Abandoned,
}

/// What the thread in charge has to know.
pub(super) enum Event {
    Exited,
    Stdout(End),
    Stderr,
    Abandoned,
}

/// Kills the helper when the caller drops it.
pub(super) struct KillOnDrop(Sender<Event>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // The receiver is gone if the helper has ended.
        let _ = self.0.send(Event::Abandoned);
    }
}

/// The channel of the events of one run.
pub(super) struct Events {
    sender: Sender<Event>,
    receiver: Receiver<Event>,
}

impl Events {
    pub(super) fn new() -> (KillOnDrop, Self) {
        let (sender, receiver) = mpsc::channel();
        (KillOnDrop(sender.clone()), Self { sender, receiver })
    }
}

/// Runs the command until it ends or must be killed. Blocks the thread.
pub(super) fn run(
    mut command: Command,
    request: Option<&[u8]>,
    limits: Limits,
    shown: Option<ShownStderr>,
    events: &Events,
) -> io::Result<Run> {
    let stdout = Capture::new(limits.output, Excess::Refuse);
    // Helpers print the reason for a failure last, so the end of stderr is kept.
    let stderr = Capture::new(STDERR_KEPT, Excess::DropOldest);
    // The fetch may have been dropped while this work waited for a thread.
    if let Ok(Event::Abandoned) = events.receiver.try_recv() {
        return Ok(Run {
            ending: Ending::Abandoned,
            stdout: Zeroizing::default(),
            stderr: Zeroizing::default(),
        });
    }
    command
        .stdin(stdin(request)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    group::set_up(&mut command);
    let mut helper = Helper::start(command, &events.sender)?;

    // The readers end when the writer of this pipe is dropped, at the end of this function: nothing stays of a run whose
    // pipes another process keeps open.
    let (stop, _stop_writer) = io::pipe()?;
    let stop = Arc::new(stop);
    // A thread for each pipe: a helper that fills one pipe must not wait until the other is read to its end.
    let pipe = helper.child.stdout.take();
    let (capture, sender, stopped) = (stdout.clone(), events.sender.clone(), stop.clone());
    spawn(move || {
        let end = pipe.map_or(End::Closed, |pipe| {
            capture::read(pipe, &stopped, &capture, |_| {})
        });
        let _ = sender.send(Event::Stdout(end));
    })?;
    let pipe = helper.child.stderr.take();
    let (capture, sender, mut shown) = (stderr.clone(), events.sender.clone(), shown);
    spawn(move || {
        let show = |chunk: &[u8]| {
            if let Some(shown) = &mut shown {
                shown.write(chunk);
            }
        };
        pipe.map(|pipe| capture::read(pipe, &stop, &capture, show));
        let _ = sender.send(Event::Stderr);
    })?;

    let ending = helper.watch(limits.timeout, &events.receiver)?;
    Ok(Run {
        ending,
        stdout: Capture::take(&stdout),
        stderr: Capture::take(&stderr),
    })
}

/// A helper that was started and is not reaped yet.
struct Helper {
    child: Child,
    waiter: Option<JoinHandle<()>>,
    reaped: bool,
}

impl Helper {
    fn start(mut command: Command, sender: &Sender<Event>) -> io::Result<Self> {
        let mut helper = Self {
            child: command.spawn()?,
            waiter: None,
            reaped: false,
        };
        // The command holds the other ends of the pipes. Without it, they close when the helper ends.
        drop(command);
        helper.waiter = group::send_exit(&helper.child, sender.clone())?;
        Ok(helper)
    }

    /// Waits until the helper has ended and its output is read, or until it must be killed.
    #[expect(
        clippy::disallowed_methods,
        reason = "a process runs in real time, whatever clock the cache has"
    )]
    fn watch(mut self, timeout: Duration, events: &Receiver<Event>) -> io::Result<Ending> {
        let since = Instant::now();
        let mut limit = timeout;
        let (mut ended, mut stdout_open, mut stderr_open) = (false, true, true);
        while !ended || stdout_open || stderr_open {
            let left = limit.saturating_sub(since.elapsed());
            if left.is_zero() {
                break;
            }
            let event = match events.recv_timeout(left.min(group::POLL_INTERVAL)) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => group::poll(&mut self.child),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            match event {
                None => {}
                Some(Event::Abandoned) => return self.stop(Ending::Abandoned),
                Some(Event::Stdout(End::TooLong)) => return self.stop(Ending::OutputTooLong),
                Some(Event::Stdout(End::Closed)) => stdout_open = false,
                Some(Event::Stderr) => stderr_open = false,
                Some(Event::Exited) => {
                    ended = true;
                    // The token is complete now. A process left behind must not hold it up until the timeout.
                    limit = limit.min(since.elapsed().saturating_add(READ_AFTER_EXIT));
                }
            }
        }
        if !ended {
            return self.stop(Ending::TimedOut);
        }
        if stdout_open {
            // A process that the helper left running holds the pipe, so that the reading thread would never end.
            group::kill(&mut self.child);
        }
        self.reap().map(Ending::Exited)
    }

    fn stop(mut self, ending: Ending) -> io::Result<Ending> {
        group::kill(&mut self.child);
        self.reap()?;
        Ok(ending)
    }

    /// Reaps the helper. Its number must not be used afterwards.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        if let Some(waiter) = self.waiter.take() {
            // The thread has no reason to panic, so its result says nothing.
            // Joined before the helper is reaped: afterwards, `waitid` could wait for another process with its number.
            let _ = waiter.join();
        }
        self.reaped = true;
        self.child.wait()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if !self.reaped {
            group::kill(&mut self.child);
            // A drop cannot report an error.
            let _ = self.reap();
        }
    }
}

/// A pipe that holds the whole request before the helper starts, so that no write can block or fail on a closed pipe.
fn stdin(request: Option<&[u8]>) -> io::Result<Stdio> {
    let Some(request) = request else {
        return Ok(Stdio::null());
    };
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(request)?;
    Ok(reader.into())
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name("keyfob-command".to_owned())
        .spawn(work)
}

/// How long to read on after the helper has ended, if a process that it started keeps the pipe open.
const READ_AFTER_EXIT: Duration = Duration::from_secs(1);

/// How much of the end of stderr is kept, in bytes.
const STDERR_KEPT: usize = 8 * 1024;

#[cfg(unix)]
mod group {
    use std::io;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};
    use std::sync::mpsc::Sender;
    use std::thread::JoinHandle;
    use std::time::Duration;

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

    use crate::source::command::run::{Event, spawn};

    /// A thread sends the end, so that there is no need to poll.
    pub(super) const POLL_INTERVAL: Duration = Duration::MAX;

    pub(super) fn set_up(command: &mut Command) {
        // A group of its own, so that the processes that the helper starts can be killed with it.
        command.process_group(0);
    }

    /// Kills the helper and what it started. It must not have been reaped.
    pub(super) fn kill(child: &mut Child) {
        // An error means that there is nothing left to kill.
        let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    }

    /// Starts a thread that waits for the end without reaping (`NOWAIT`).
    pub(super) fn send_exit(
        child: &Child,
        sender: Sender<Event>,
    ) -> io::Result<Option<JoinHandle<()>>> {
        let pid = Pid::from_child(child);
        let waiter = spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
            let _ = sender.send(Event::Exited);
        })?;
        Ok(Some(waiter))
    }

    pub(super) fn poll(_: &mut Child) -> Option<Event> {
        None
    }
}

#[cfg(not(unix))]
mod group {
    use std::io;
    use std::process::{Child, Command};
    use std::sync::mpsc::Sender;
    use std::thread::JoinHandle;
    use std::time::Duration;

    use crate::source::command::run::Event;

    /// How often to check for the end: the standard library cannot wait for a process and kill it at the same time.
    pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(20);

    pub(super) fn set_up(_: &mut Command) {}

    pub(super) fn kill(child: &mut Child) {
        // An error means that it has ended.
        let _ = child.kill();
    }

    pub(super) fn send_exit(_: &Child, _: Sender<Event>) -> io::Result<Option<JoinHandle<()>>> {
        Ok(None)
    }

    pub(super) fn poll(child: &mut Child) -> Option<Event> {
        child.try_wait().ok().flatten().map(|_| Event::Exited)
    }
}
