//! The processes of a soak: starts, instructs and kills them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::thread::JoinHandle;

use keyfob::store::TokenStore;
use rustix::process::{Pid, Signal, kill_process};

use crate::setup::Instructions;
use crate::store_note::Note;
use crate::worker::SERVED;

/// The running processes.
pub(crate) struct Workers {
    instructions: Instructions,
    /// What the processes take for the certificate authorities of the system.
    ///
    /// The client of Redis reads all of them for each connection, also with authorities of its own. In a build that is not
    /// optimized, this takes seconds if many processes connect at once, as after a failover.
    roots: PathBuf,
    running: HashMap<u32, Process>,
    settled: Vec<Child>,
    pub(crate) killed: usize,
    failures: Vec<String>,
}

struct Process {
    child: Child,
    /// Reads the output of the process.
    lines: JoinHandle<Vec<String>>,
}

impl Workers {
    pub(crate) fn new(instructions: Instructions, roots: PathBuf) -> Self {
        Self {
            instructions,
            roots,
            running: HashMap::new(),
            settled: Vec::new(),
            killed: 0,
            failures: Vec::new(),
        }
    }

    pub(crate) fn fill(&mut self, processes: usize) {
        while self.running.len() < processes {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .arg("worker")
                .env("SSL_CERT_FILE", &self.roots)
                .env_remove("SSL_CERT_DIR")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut instructions = serde_json::to_vec(&self.instructions).unwrap();
            instructions.push(b'\n');
            child
                .stdin
                .as_mut()
                .unwrap()
                .write_all(&instructions)
                .unwrap();
            let out = BufReader::new(child.stdout.take().unwrap());
            let lines = thread::spawn(|| lines(out));
            self.running.insert(child.id(), Process { child, lines });
        }
    }

    /// Kills any process that does not repeat the exchange of a killed one. Returns whether it was in an exchange.
    pub(crate) async fn kill_any(&mut self, store: &dyn TokenStore) -> bool {
        let pids: Vec<_> = self.running.keys().copied().collect();
        let pid = pids[fastrand::usize(..pids.len())];
        // The process is stopped, so that it starts nothing between the check and the kill.
        signal(pid, Signal::STOP);
        let note = Note::load(store).await.filter(|note| note.pid == pid);
        if note.is_some_and(|note| note.is_repeat) {
            signal(pid, Signal::CONT);
            return false;
        }
        self.kill(pid);
        note.is_some()
    }

    /// Kills a process with SIGKILL and waits for its end. Returns whether it was running.
    pub(crate) fn kill(&mut self, pid: u32) -> bool {
        let Some(mut process) = self.running.remove(&pid) else {
            return false;
        };
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        self.killed += 1;
        self.failures.extend(process.lines.join().unwrap());
        true
    }

    /// Makes all processes send a last request and then wait. Returns how many of these requests succeeded.
    pub(crate) fn settle(&mut self) -> usize {
        for process in self.running.values_mut() {
            // A process that has ended by itself is counted as not served below.
            let _ = process.child.stdin.as_mut().unwrap().write_all(b"\n");
        }
        let mut served = 0;
        for (_, process) in self.running.drain() {
            let mut lines = process.lines.join().unwrap();
            served += usize::from(lines.pop_if(|line| line == SERVED).is_some());
            self.failures.extend(lines);
            self.settled.push(process.child);
        }
        served
    }

    /// Ends the waiting processes.
    pub(crate) fn end(mut self) -> Vec<String> {
        for child in &mut self.settled {
            // `wait` closes the standard input first, which ends the process.
            child.wait().unwrap();
        }
        self.failures
    }
}

/// The output of a process until its last request, or until its end.
fn lines(out: impl BufRead) -> Vec<String> {
    let mut lines = Vec::new();
    for line in out.lines().map_while(Result::ok) {
        let is_last = line == SERVED;
        lines.push(line);
        if is_last {
            break;
        }
    }
    lines
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    // This child was not waited for yet, so its process id cannot belong to another process.
    kill_process(pid, signal).unwrap();
}
