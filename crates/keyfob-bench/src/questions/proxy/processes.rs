//! The processes of the proxy's questions: a proxy under test, and nginx; their CPU time and memory.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A server in a process of its own. It ends with this value.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
}

impl Process {
    /// Starts the program, and waits until it accepts connections at this address.
    pub fn start(command: &mut Command, address: SocketAddr) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut process = Self { child, address };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = process.child.try_wait().expect("its state");
            assert!(ended.is_none(), "{command:?} ended");
            assert!(started.elapsed() < PATIENCE, "{command:?} does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        process
    }

    /// The CPU seconds of all threads so far.
    pub fn cpu(&self) -> f64 {
        let tasks = fs::read_dir(self.proc("task")).expect("its threads");
        let nanoseconds = tasks.flatten().filter_map(|task| {
            let stat = fs::read_to_string(task.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<f64>().ok()
        });
        nanoseconds.sum::<f64>() / 1e9
    }

    /// The largest resident size so far, in MiB.
    pub fn peak(&self) -> f64 {
        self.status("VmHWM:") / 1024.0
    }

    /// Lets [`peak`](Self::peak) begin anew.
    pub fn forget_peak(&self) {
        fs::write(self.proc("clear_refs"), "5").expect("to reset the peak of its size");
    }

    /// A number of `/proc/PID/status`.
    fn status(&self, name: &str) -> f64 {
        let status = fs::read_to_string(self.proc("status")).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {name} in {status}"))
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc")
            .join(self.child.id().to_string())
            .join(file)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address on which nothing listens.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

/// nginx with this `server` block, as one process without workers.
pub fn nginx(folder: &Path, name: &str, address: SocketAddr, http: &str) -> Process {
    let folder = folder.join(name);
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.display();
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid {path}/pid;\nerror_log {path}/error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  access_log off;\n  keepalive_requests 1000000000;\n  keepalive_timeout 1h;\n  \
         client_body_temp_path {path}/body;\n  proxy_temp_path {path}/proxy;\n  fastcgi_temp_path {path}/fastcgi;\n  \
         uwsgi_temp_path {path}/uwsgi;\n  scgi_temp_path {path}/scgi;\n{http}\n}}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, configuration).expect("a file");
    let mut command = Command::new("nginx");
    command.arg("-e").arg(folder.join("error.log"));
    command.arg("-c").arg(file).arg("-p").arg(&folder);
    Process::start(&mut command, address)
}

const PATIENCE: Duration = Duration::from_secs(10);
