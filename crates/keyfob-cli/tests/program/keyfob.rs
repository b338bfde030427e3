//! Runs the program.

use std::ffi::OsStr;
use std::fs;
use std::fs::read_to_string;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio, id};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

/// One run of the program, without the settings of this machine.
pub(crate) struct Keyfob(Command);

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Keyfob {
    pub(crate) fn new<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        restore_default_signals();
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
        for name in FOREIGN {
            command.env_remove(name);
            command.env_remove(name.to_ascii_lowercase());
        }
        command
            .args(arguments)
            .env("XDG_CONFIG_HOME", NOWHERE)
            .env("XDG_STATE_HOME", NOWHERE)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(command)
    }

    /// A request with the token `t0ken`.
    pub(crate) fn request<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let mut keyfob = Self::new(["request"]);
        keyfob.0.args(arguments).env("KEYFOB_TOKEN", "t0ken");
        keyfob
    }

    /// A run of the program under the name of a link.
    pub(crate) fn linked<A: AsRef<OsStr>>(
        name: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        use std::os::unix::process::CommandExt;
        let mut keyfob = Self::new(arguments);
        keyfob.0.arg0(name);
        keyfob
    }

    /// Runs it with this text on its standard input.
    pub(crate) fn run_with(self, text: &str) -> Finished {
        let mut child = self.stdin(Stdio::piped()).start();
        let mut stdin = child.stdin.take().expect("it is piped");
        // A program that reads nothing has closed the pipe.
        _ = stdin.write_all(text.as_bytes());
        drop(stdin);
        finish(child)
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.0.args(arguments);
        self
    }

    /// The same run without a terminal, as a service has none.
    pub(crate) fn in_own_session(self) -> Self {
        self.wrapped(Command::new("setsid"), |setsid, program| {
            setsid.args(program);
        })
    }

    /// The same run on a machine on which every write to a file fails.
    pub(crate) fn with_no_space_for_files(self) -> Self {
        // Without the trap, the write would end the program.
        self.in_shell("trap '' XFSZ; ulimit -f 0; exec \"$@\"")
    }

    /// The same run, which a signal ends when it first writes to a file.
    pub(crate) fn killed_when_it_writes_a_file(self) -> Self {
        self.in_shell("ulimit -c 0; ulimit -f 0; exec \"$@\"")
    }

    fn in_shell(self, line: &str) -> Self {
        self.wrapped(Command::new("sh"), |shell, program| {
            shell.args(["-c", line, "sh"]).args(program);
        })
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn stdin(mut self, stdin: Stdio) -> Self {
        self.0.stdin(stdin);
        self
    }

    pub(crate) fn in_folder(mut self, folder: &Folder) -> Self {
        self.0.current_dir(&folder.0);
        self
    }

    pub(crate) fn stdout(mut self, stdout: Stdio) -> Self {
        self.0.stdout(stdout);
        self
    }

    /// The same run at a terminal of its own. Its standard output then has both streams.
    pub(crate) fn at_terminal(self) -> Self {
        self.wrapped(Command::new("script"), |script, program| {
            let words: Vec<_> = program
                .iter()
                .map(|word| format!("'{}'", word.display().to_string().replace('\'', "'\\''")))
                .collect();
            // A shell that stayed would get Ctrl-C as well, and `script` would have its exit code.
            script.args(["-qec", &format!("exec {}", words.join(" ")), "/dev/null"]);
        })
    }

    /// The same run by another program, with the same environment.
    fn wrapped(self, mut outer: Command, add: impl FnOnce(&mut Command, &[&OsStr])) -> Self {
        let words: Vec<_> = std::iter::once(self.0.get_program())
            .chain(self.0.get_args())
            .collect();
        add(&mut outer, &words);
        outer
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in self.0.get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        Self(outer)
    }

    pub(crate) fn start(mut self) -> Child {
        self.0.spawn().expect("the program was built")
    }

    pub(crate) fn run(self) -> Finished {
        finish(self.start())
    }
}

impl Finished {
    /// The error message: the only line on standard error.
    #[track_caller]
    pub(crate) fn complaint(&self) -> &str {
        let line = self.stderr.trim_end();
        assert!(line.starts_with("keyfob: "), "{self:?}");
        assert!(!line.contains('\n'), "{self:?}");
        line
    }
}

pub(crate) fn finish(child: Child) -> Finished {
    let output = child.wait_with_output().expect("the program ends");
    Finished {
        code: output.status.code().expect("the program was not killed"),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Lets programs that this process starts begin with the default action for each signal that ends programs.
///
/// A background job of a non-interactive shell ignores SIGINT, and every program that it starts inherits that. A handler is not
/// inherited: `execve` resets a handled signal to its default action. So this process installs handlers, which needs no unsafe
/// code in the child. It does so only for signals that it ignores already, so that Ctrl-C ends a test run as before.
fn restore_default_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let ignored = ignored_signals();
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the machine can make one");
        // Handlers stay when the runtime is gone.
        let _entered = runtime.enter();
        for kind in [
            SignalKind::hangup(),
            SignalKind::interrupt(),
            SignalKind::quit(),
            SignalKind::terminate(),
        ] {
            if ignored & (1 << (kind.as_raw_value() - 1)) != 0 {
                drop(signal(kind).expect("the signal can be handled"));
            }
        }
    });
}

/// One bit for each signal that this process ignores; none where there is no `/proc`.
fn ignored_signals() -> u64 {
    let status = read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

/// A folder for one test; dropping it removes it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("keyfob-{}-{number}", id()));
        fs::create_dir_all(&path).expect("the folder of the build can be written");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file that only its owner can read, as those with secrets have to be.
    pub(crate) fn file(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, contents).expect("the folder of the test can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        path
    }

    /// The program with the profiles of this folder's `keyfob.toml`, and with its stores in this folder.
    pub(crate) fn keyfob(&self, arguments: &[&str]) -> Keyfob {
        let path = |name: &str| self.path(name).display().to_string();
        Keyfob::new(arguments)
            .env("KEYFOB_CONFIG", &path("keyfob.toml"))
            .env("XDG_STATE_HOME", &path("state"))
    }

    /// A shell script; its path as the argument of `--token-command`.
    pub(crate) fn script(&self, name: &str, lines: &str) -> String {
        let path = self.file(name, &format!("#!/bin/sh\n{lines}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        format!("'{}'", path.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // `cargo clean` removes the rest.
        _ = fs::remove_dir_all(&self.0);
    }
}

/// A directory without settings.
const NOWHERE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/no-settings");

const FOREIGN: [&str; 17] = [
    "ALL_PROXY",
    "CARGO_HOME",
    "DOCKER_CONFIG",
    "GIT_CONFIG_GLOBAL",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "KEYFOB_CONFIG",
    "NO_PROXY",
    "KEYFOB_TOKEN",
    "KEYFOB_TOKEN_COMMAND",
    "KEYFOB_TOKEN_FILE",
    "KUBECONFIG",
    "KUBERNETES_EXEC_INFO",
    "RCLONE_CONFIG",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TF_CLI_CONFIG_FILE",
];
