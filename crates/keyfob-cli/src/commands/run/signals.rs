//! Signals while a program runs: which are passed on to it, and when keyfob stops or ends with it.
//!
//! The program is in the process group of keyfob, so the terminal sends Ctrl-C, Ctrl-\, Ctrl-Z and changes of its size to both. A
//! signal that a process sends to keyfob alone is passed on. The information of each signal tells the two apart.

use std::sync::{Arc, Mutex, PoisonError};
use std::{io, process, thread};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, getsid, kill_process, waitid};
use signal_hook::consts::{
    SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH,
};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::backend::Handle;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::exfiltrator::origin::Origin;
use tokio::sync::oneshot::Sender;

use crate::output::exit_code::ExitCode;
use crate::signals::is_ignored;

/// Handles the signals that keyfob receives.
pub(super) struct Supervisor {
    signals: SignalsInfo<WithOrigin>,
}

/// The program, until it has been reaped: after that, its number may belong to another process.
type Target = Arc<Mutex<Option<Pid>>>;

impl Supervisor {
    pub(super) fn new() -> io::Result<Self> {
        // A signal that is ignored, because of `nohup` or as a background job of a script, is ignored by the program as well.
        let handled = PASSED_ON.into_iter().filter(|signal| !is_ignored(*signal));
        Ok(Self {
            signals: SignalsInfo::new(handled)?,
        })
    }

    /// Passes signals on, and sends how the program ended.
    pub(super) fn watch(mut self, child: &process::Child, ended: Sender<ExitCode>) {
        let pid = Pid::from_child(child);
        let target: Target = Arc::new(Mutex::new(Some(pid)));
        let handle = self.signals.handle();
        let passed_to = Arc::clone(&target);
        thread::spawn(move || {
            for origin in self.signals.forever() {
                if is_for_keyfob_alone(&origin) {
                    pass_on(&passed_to, origin.signal);
                }
            }
        });
        thread::spawn(move || {
            let ending = wait(pid, &target, &handle);
            _ = ended.send(ending);
        });
    }
}

fn is_for_keyfob_alone(origin: &Origin) -> bool {
    // The kernel tells only the leader of a session that its terminal is gone.
    let leads_session = || getsid(None).is_ok_and(|leader| leader == getpid());
    origin.process.is_some() || origin.signal == SIGHUP && leads_session()
}

fn pass_on(target: &Target, signal: i32) {
    let target = target.lock().unwrap_or_else(PoisonError::into_inner);
    if let (Some(pid), Some(signal)) = (*target, Signal::from_named_raw(signal)) {
        // It fails only for a program that has changed its user, which the caller of keyfob cannot signal either.
        _ = kill_process(pid, signal);
    }
}

/// Waits for the end of the program, and stops keyfob whenever the program stops, so that the shell sees a stopped job.
fn wait(pid: Pid, target: &Target, handle: &Handle) -> ExitCode {
    loop {
        let events = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(pid), events) {
            Ok(Some(status)) if status.stopped() => {
                _ = waitid(
                    WaitId::Pid(pid),
                    WaitIdOptions::STOPPED | WaitIdOptions::NOHANG,
                );
                _ = kill_process(getpid(), Signal::STOP);
            }
            Ok(Some(_)) | Err(rustix::io::Errno::CHILD) => break,
            Ok(None) | Err(_) => (),
        }
    }
    let mut target = target.lock().unwrap_or_else(PoisonError::into_inner);
    *target = None;
    handle.close();
    let status = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
    let Ok(Some(status)) = status else {
        return ExitCode::OfProgram(1);
    };
    match (status.exit_status(), status.terminating_signal()) {
        (_, Some(signal)) => ExitCode::KilledProgram(signal),
        (Some(code), None) => ExitCode::OfProgram(code as u8),
        (None, None) => ExitCode::OfProgram(1),
    }
}

const PASSED_ON: [i32; 9] = [
    SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT, SIGTSTP,
];
