//! Running a helper so that it cannot outlive, outwait or outgrow its caller.
//!
//! One thread starts the helper, waits for news about it, and alone may kill and reap it: so no signal reaches a
//! process that took over the number of a reaped one. The threads that wait for the helper's end and read its output
//! only send news. A caller that goes away sends news too, by dropping its [`Leash`].

use std::io::Write;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use zeroize::Zeroizing;

use crate::source::command::capture;
use crate::source::command::capture::{Capture, End, Excess};

/// What a helper left behind.
pub(super) struct Run {
    pub(super) ending: Ending,
    pub(super) stdout: Zeroizing<Vec<u8>>,
    pub(super) stderr: Zeroizing<Vec<u8>>,
}

/// Why a run is over.
#[derive(Debug)]
pub(super) enum Ending {
    /// It ended by itself.
    Exited(ExitStatus),
    /// It was killed because its time was over.
    OutOfTime,
    /// It was killed because it printed too much.
    Flooded,
    /// It was killed because nobody waits for it any more.
    Abandoned,
}

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) time: Duration,
    pub(super) output: usize,
}

/// Something that the thread in charge must know.
pub(super) enum News {
    Exited,
    Stdout(End),
    Stderr,
    Abandoned,
}

/// Held by the caller; the helper is killed when it is dropped.
pub(super) struct Leash(Sender<News>);

impl Drop for Leash {
    fn drop(&mut self) {
        // Nobody listens any more if the helper has ended.
        let _ = self.0.send(News::Abandoned);
    }
}

/// Where news arrives.
pub(super) struct Inbox {
    sender: Sender<News>,
    receiver: Receiver<News>,
}

impl Inbox {
    pub(super) fn new() -> (Leash, Self) {
        let (sender, receiver) = mpsc::channel();
        (Leash(sender.clone()), Self { sender, receiver })
    }
}

/// Runs the command to its end, or until it must be stopped. Blocks the thread.
pub(super) fn run(
    mut command: Command,
    request: Option<&[u8]>,
    limits: Limits,
    inbox: &Inbox,
) -> io::Result<Run> {
    let stdout = Capture::new(limits.output, Excess::Refuse);
    let stderr = Capture::new(STDERR_KEPT, Excess::DropOldest);
    if let Ok(News::Abandoned) = inbox.receiver.try_recv() {
        return Ok(Run::abandoned());
    }
    command
        .stdin(stdin(request)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    group::set_up(&mut command);
    let mut helper = Helper::start(command, &inbox.sender)?;

    let pipe = helper.child.stdout.take();
    let (capture, news) = (stdout.clone(), inbox.sender.clone());
    beside(move || {
        let end = pipe.map_or(End::Closed, |pipe| capture::read(pipe, &capture));
        let _ = news.send(News::Stdout(end));
    })?;
    let pipe = helper.child.stderr.take();
    let (capture, news) = (stderr.clone(), inbox.sender.clone());
    beside(move || {
        pipe.map(|pipe| capture::read(pipe, &capture));
        let _ = news.send(News::Stderr);
    })?;

    let ending = helper.watch(limits.time, &inbox.receiver)?;
    Ok(Run {
        ending,
        stdout: Capture::take(&stdout),
        stderr: Capture::take(&stderr),
    })
}

impl Run {
    fn abandoned() -> Self {
        Self {
            ending: Ending::Abandoned,
            stdout: Zeroizing::default(),
            stderr: Zeroizing::default(),
        }
    }
}

/// A helper that has been started and not been reaped.
struct Helper {
    child: Child,
    waiter: Option<JoinHandle<()>>,
    reaped: bool,
}

impl Helper {
    fn start(mut command: Command, news: &Sender<News>) -> io::Result<Self> {
        let mut helper = Self {
            child: command.spawn()?,
            waiter: None,
            reaped: false,
        };
        // The command holds nothing of the pipes any more, so that they close with the helper.
        drop(command);
        helper.waiter = group::tell_when_ended(&helper.child, news.clone())?;
        Ok(helper)
    }

    /// Waits until the helper has ended and its output is read, or until it must be stopped.
    #[expect(
        clippy::disallowed_methods,
        reason = "a process lives by the system's clock"
    )]
    fn watch(mut self, max_wait: Duration, news: &Receiver<News>) -> io::Result<Ending> {
        let since = Instant::now();
        let mut limit = max_wait;
        let (mut ended, mut printing, mut complaining) = (false, true, true);
        while !ended || printing || complaining {
            let left = limit.saturating_sub(since.elapsed());
            if left.is_zero() {
                break;
            }
            let news = match news.recv_timeout(left.min(group::PULSE)) {
                Ok(news) => Some(news),
                Err(RecvTimeoutError::Timeout) => group::look(&mut self.child),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            match news {
                None => {}
                Some(News::Abandoned) => return self.stop(Ending::Abandoned),
                Some(News::Stdout(End::Flooded)) => return self.stop(Ending::Flooded),
                Some(News::Stdout(End::Closed)) => printing = false,
                Some(News::Stderr) => complaining = false,
                Some(News::Exited) => {
                    ended = true;
                    limit = limit.min(since.elapsed().saturating_add(AFTERMATH));
                }
            }
        }
        if !ended {
            return self.stop(Ending::OutOfTime);
        }
        if printing {
            // What it started and left behind with the pipe would keep the pipe's reader for ever.
            group::kill(&mut self.child);
        }
        self.reap().map(Ending::Exited)
    }

    fn stop(mut self, ending: Ending) -> io::Result<Ending> {
        group::kill(&mut self.child);
        self.reap()?;
        Ok(ending)
    }

    /// Lets the helper's number go, after the last use that is made of it.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        if let Some(waiter) = self.waiter.take() {
            // It holds no more than the number, and has nothing to panic about.
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
            // There is nobody to tell.
            let _ = self.reap();
        }
    }
}

/// The request in a pipe that holds it whole before the helper starts, so that no write can block or meet a closed pipe.
fn stdin(request: Option<&[u8]>) -> io::Result<Stdio> {
    let Some(request) = request else {
        return Ok(Stdio::null());
    };
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(request)?;
    Ok(reader.into())
}

fn beside(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name("keyfob-command".to_owned())
        .spawn(work)
}

/// How long output is waited for when the helper has ended, but something that it started has the pipe.
const AFTERMATH: Duration = Duration::from_secs(1);

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

    use crate::source::command::run::{News, beside};

    /// The end is told; there is no need to look.
    pub(super) const PULSE: Duration = Duration::MAX;

    pub(super) fn set_up(command: &mut Command) {
        command.process_group(0);
    }

    /// Kills the helper and what it started. It must not have been reaped.
    pub(super) fn kill(child: &mut Child) {
        // An error means that there is nothing left to kill.
        let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    }

    /// Starts a thread that waits for the end and leaves the reaping to others.
    pub(super) fn tell_when_ended(
        child: &Child,
        news: Sender<News>,
    ) -> io::Result<Option<JoinHandle<()>>> {
        let pid = Pid::from_child(child);
        let waiter = beside(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
            let _ = news.send(News::Exited);
        })?;
        Ok(Some(waiter))
    }

    pub(super) fn look(_: &mut Child) -> Option<News> {
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

    use crate::source::command::run::News;

    /// How often to look whether it has ended, since the standard library cannot wait for it and kill at the same time.
    pub(super) const PULSE: Duration = Duration::from_millis(20);

    pub(super) fn set_up(_: &mut Command) {}

    pub(super) fn kill(child: &mut Child) {
        // An error means that it has ended.
        let _ = child.kill();
    }

    pub(super) fn tell_when_ended(
        _: &Child,
        _: Sender<News>,
    ) -> io::Result<Option<JoinHandle<()>>> {
        Ok(None)
    }

    pub(super) fn look(child: &mut Child) -> Option<News> {
        child.try_wait().ok().flatten().map(|_| News::Exited)
    }
}
