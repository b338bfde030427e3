//! A driver as a process: one line of JSON in, one line out.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use keyfob_conformance::faces::{Driver, Face};
use keyfob_conformance::outcome::{Job, Outcome};

/// A running driver. Dropping it ends the process.
pub(crate) struct DriverProcess {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

impl DriverProcess {
    /// Starts the driver of an interface, with these variables on top of a bare environment.
    pub(crate) fn start(
        face: &Face,
        certificate: &Path,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let mut command = command(face)?;
        for name in PROXY_VARIABLES {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        let home = certificate.parent().unwrap_or(certificate);
        let mut child = command
            .env("HOME", home)
            .env("NETRC", home.join("none"))
            .env("SSL_CERT_FILE", certificate)
            // Reading the certificates of the machine would take most of the time of a case.
            .env("SSL_CERT_DIR", home.join("none"))
            .env("REQUESTS_CA_BUNDLE", certificate)
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the driver cannot be started: {error}"))?;
        let input = child.stdin.take().ok_or("the driver has no input")?;
        let stdout = child.stdout.take().ok_or("the driver has no output")?;
        let (lines, output) = channel();
        thread::spawn(move || {
            let read = BufReader::new(stdout).lines().map_while(Result::ok);
            // The end of the lines is the end of the channel.
            let _ = read.into_iter().try_for_each(|line| lines.send(line));
        });
        Ok(Self {
            child,
            input,
            output,
        })
    }

    pub(crate) fn run(&mut self, job: &Job) -> Result<Outcome, String> {
        let line = serde_json::to_string(job).map_err(|error| error.to_string())?;
        writeln!(self.input, "{line}").map_err(|_| "the driver has ended")?;
        let line = self
            .output
            .recv_timeout(LONGEST_JOB)
            .map_err(|_| "the driver returned nothing")?;
        serde_json::from_str(&line).map_err(|error| format!("{error} in {line}"))
    }
}

impl Drop for DriverProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(face: &Face) -> Result<Command, String> {
    match face.driver {
        Driver::Own => {
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            let mut command = Command::new(program);
            command.args(["drive", face.name]);
            Ok(command)
        }
        Driver::Python => {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let mut command = Command::new(root.join("../../target/python/bin/python"));
            command.arg(root.join("drivers/python.py")).arg(face.name);
            Ok(command)
        }
    }
}

const PROXY_VARIABLES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];

/// A driver that has not returned by then is ended, and the case has failed.
const LONGEST_JOB: Duration = Duration::from_secs(20);
