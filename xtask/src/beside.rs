//! Gates that run while others run. Each has a process of its own, so that its output is printed in one piece.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, io};

use crate::gates::{Finding, Gate};
use crate::process::{root, target};
use crate::report::{self, Verdict};

/// A gate that runs now.
pub(crate) struct Beside {
    gate: &'static Gate,
    /// Waits for the process, and says how it ended and how long it ran.
    process: JoinHandle<(io::Result<ExitStatus>, Duration)>,
}

impl Beside {
    /// Starts the gate. What it needs is installed already.
    pub(crate) fn start(gate: &'static Gate) -> Self {
        println!("── {}: runs beside the next gates", gate.name);
        let start = Instant::now();
        let process = spawn(gate.name);
        let wait = move || {
            let ended = process.and_then(|mut process| process.wait());
            (ended, start.elapsed())
        };
        Self {
            gate,
            process: thread::spawn(wait),
        }
    }

    /// Waits for its end, and prints what it printed.
    pub(crate) fn finish(self) -> Verdict {
        let (ended, took) = self.process.join().expect("waiting does not panic");
        let printed = fs::read(output(self.gate.name)).unwrap_or_default();
        println!("{}", String::from_utf8_lossy(&printed).trim_end());
        let finding = match ended {
            Ok(status) if status.success() => Finding::Passed,
            Ok(status) => Finding::Failed(format!("its process ended with {status}")),
            Err(error) => Finding::Failed(format!("it could not be run: {error}")),
        };
        report::ended(self.gate, finding, took)
    }
}

fn spawn(name: &str) -> io::Result<Child> {
    let path = output(name);
    fs::create_dir_all(path.parent().unwrap_or(root()))?;
    let file = File::create(path)?;
    Command::new(env::current_exe()?)
        .args(["test", "--no-install", name])
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
}

fn output(name: &str) -> PathBuf {
    target().join("gates").join(name)
}
