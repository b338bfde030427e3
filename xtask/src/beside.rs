//! What runs while gates run: other gates, and the installation of what later gates need. Each has a process of its own, so that
//! its output is printed in one piece.

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
    process: Process,
}

impl Beside {
    /// Starts the gate. What it needs is installed already.
    pub(crate) fn start(gate: &'static Gate) -> Self {
        println!("── {}: runs beside the next gates", gate.name);
        let process = Process::start(gate.name, &["test", "--no-install", gate.name]);
        Self { gate, process }
    }

    /// Waits for its end, and prints what it printed.
    pub(crate) fn finish(self) -> Verdict {
        let (ended, took) = self.process.finish();
        let finding = match ended {
            Ok(status) if status.success() => Finding::Passed,
            Ok(status) => Finding::Failed(format!("its process ended with {status}")),
            Err(error) => Finding::Failed(format!("it could not be run: {error}")),
        };
        report::ended(self.gate, finding, took)
    }
}

/// The installation of what gates need.
pub(crate) struct Installation(Process);

impl Installation {
    /// Starts to install what these gates need.
    pub(crate) fn start(gates: &[&'static Gate]) -> Self {
        let names = gates.iter().map(|gate| gate.name);
        let arguments: Vec<_> = ["install"].into_iter().chain(names).collect();
        Self(Process::start("install", &arguments))
    }

    /// Waits for its end, and prints what it printed. What it could not install is still missing.
    pub(crate) fn finish(self) {
        let (_, took) = self.0.finish();
        println!(
            "── the installation ended after {:.1} s\n",
            took.as_secs_f32()
        );
    }
}

/// This program once more, with its output in a file.
struct Process {
    name: &'static str,
    /// Waits for the process, and says how it ended and how long it ran.
    end: JoinHandle<(io::Result<ExitStatus>, Duration)>,
}

impl Process {
    fn start(name: &'static str, arguments: &[&str]) -> Self {
        let start = Instant::now();
        let process = spawn(name, arguments);
        let wait = move || {
            let ended = process.and_then(|mut process| process.wait());
            (ended, start.elapsed())
        };
        Self {
            name,
            end: thread::spawn(wait),
        }
    }

    fn finish(self) -> (io::Result<ExitStatus>, Duration) {
        let end = self.end.join().expect("waiting does not panic");
        let printed = fs::read(output(self.name)).unwrap_or_default();
        println!("{}", String::from_utf8_lossy(&printed).trim_end());
        end
    }
}

fn spawn(name: &str, arguments: &[&str]) -> io::Result<Child> {
    let path = output(name);
    fs::create_dir_all(path.parent().unwrap_or(root()))?;
    let file = File::create(path)?;
    Command::new(env::current_exe()?)
        .args(arguments)
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
}

fn output(name: &str) -> PathBuf {
    target().join("gates").join(name)
}
