//! The processes of a soak: started, told what to do, and killed.

use std::collections::HashMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use keyfob::TokenStore;

use crate::shared::Errand;
use crate::shared::key;

/// The processes that run.
pub(crate) struct Herd {
    errand: Errand,
    running: HashMap<u32, Child>,
    pub(crate) killed: usize,
    failures: Arc<Mutex<Vec<String>>>,
}

impl Herd {
    pub(crate) fn new(errand: Errand) -> Self {
        Self {
            errand,
            running: HashMap::new(),
            killed: 0,
            failures: Arc::default(),
        }
    }

    pub(crate) fn fill(&mut self, processes: usize) {
        while self.running.len() < processes {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .arg("worker")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut errand = serde_json::to_vec(&self.errand).unwrap();
            errand.push(b'\n');
            child.stdin.as_mut().unwrap().write_all(&errand).unwrap();
            let out = BufReader::new(child.stdout.take().unwrap());
            let failures = Arc::clone(&self.failures);
            thread::spawn(move || {
                let lines = out.lines().map_while(Result::ok);
                lines.for_each(|line| failures.lock().unwrap().push(line));
            });
            self.running.insert(child.id(), child);
        }
    }

    /// The process that exchanges, as soon as there is one.
    ///
    /// One that repeats the exchange of a killed one is spared: who is killed there, too, makes a sign-in necessary.
    pub(crate) async fn holder(&self, store: &dyn TokenStore, patience: Duration) -> Option<u32> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            let kept = store.load(&key()).await.ok().flatten();
            let begun = kept.and_then(|kept| kept.entry.begun().cloned());
            let first = begun.filter(|begun| begun.attempts() == 1);
            let pid = first.and_then(|begun| begun.by().split(' ').nth(1)?.parse().ok());
            if let Some(pid) = pid.filter(|pid| self.running.contains_key(pid)) {
                return Some(pid);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    pub(crate) fn kill_any(&mut self) {
        let pids: Vec<_> = self.running.keys().copied().collect();
        self.kill(pids[fastrand::usize(..pids.len())]);
    }

    /// With SIGKILL, so that nothing of it runs any more; says whether it was there.
    pub(crate) fn kill(&mut self, pid: u32) -> bool {
        let Some(mut child) = self.running.remove(&pid) else {
            return false;
        };
        child.kill().unwrap();
        child.wait().unwrap();
        self.killed += 1;
        true
    }

    /// Ends all, and says what failed in any of them.
    pub(crate) fn end(&mut self) -> Vec<String> {
        for (_, mut child) in self.running.drain() {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
        self.failures.lock().unwrap().clone()
    }
}
