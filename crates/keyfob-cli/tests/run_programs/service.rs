//! A server whose tokens expire every three seconds, and a profile for it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use keyfob_testkit::{Leaf, TestAuthority};

use crate::keyfob::{Finished, Folder, Keyfob};

/// What every token of the server has in it.
pub(crate) const MARKER: &[u8] = b"rEaLt0kEn";

/// Another name of this machine (RFC 6761 §6.3).
const OTHER_NAME: &str = "api.localhost";

pub(crate) struct Service {
    pub(crate) folder: Folder,
    server: Child,
    pub(crate) url: String,
    _authority: TestAuthority,
}

impl Service {
    pub(crate) fn start() -> Self {
        let folder = Folder::new();
        let authority = TestAuthority::new();
        let pair = authority.issue(Leaf {
            names: vec!["localhost".to_owned(), OTHER_NAME.to_owned()],
            ..Leaf::default()
        });
        folder.file("cert.pem", &pair.certificate);
        folder.file("key.pem", &pair.key);
        folder.file("ca.pem", authority.pem());
        folder.file("secret", "s1gn3r");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run_programs/server.py");
        let mut server = Command::new(python())
            .arg(script)
            .arg(folder.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python is installed");
        let mut port = String::new();
        let stdout = server.stdout.as_mut().expect("it is a pipe");
        BufReader::new(stdout)
            .read_line(&mut port)
            .expect("the server prints its port");
        let url = format!("https://localhost:{}", port.trim());
        let path = |name: &str| folder.path(name).display().to_string();
        let helper = folder.script(
            "helper",
            &format!(
                "end=$(($(date +%s%3N) + 3000))\n\
                 mac=$(printf '%s%s' \"$(cat '{}')\" \"$end\" | sha256sum | cut -c1-32)\n\
                 echo $end >>'{}'\n\
                 printf '{{\"access_token\":\"rEaLt0kEn-%s-%s\",\"expires_in\":3}}' \"$end\" \"$mac\"",
                path("secret"),
                path("issued")
            ),
        );
        let profile = format!(
            "[profiles.demo]\norigins = [\"{url}\", \"{}\"]\nca_file = \"{}\"\nstore = \"memory\"\nenv = \"DEMO_TOKEN\"\n\
             token = \"command:{}\"\n",
            url.replace("localhost", OTHER_NAME),
            path("ca.pem"),
            helper.trim_matches('\'')
        );
        folder.file("keyfob.toml", &profile);
        Self {
            folder,
            server,
            url,
            _authority: authority,
        }
    }

    /// `keyfob run` with the program behind the proxy.
    pub(crate) fn proxied(&self, more: &[&str], command: &[&str]) -> Keyfob {
        self.run(&[&["--proxy"], more].concat(), command)
    }

    pub(crate) fn run(&self, options: &[&str], command: &[&str]) -> Keyfob {
        let first = ["run", "-q", "--profile=demo"];
        let arguments = [&first[..], options, &["--"], command].concat();
        let path = |name: &str| self.folder.path(name).display().to_string();
        Keyfob::new(arguments)
            .env("KEYFOB_CONFIG", &path("keyfob.toml"))
            .env("HOME", &path("home"))
            .env("XDG_STATE_HOME", &path("state"))
    }

    /// Runs a shell script behind the proxy, with the server's URL as `$URL`, in a folder of its own.
    pub(crate) fn shell(&self, script: &str) -> Finished {
        let work = self.folder.path("work");
        fs::create_dir_all(&work).expect("the folder is ours");
        fs::create_dir_all(self.folder.path("home")).expect("the folder is ours");
        let script = format!("cd '{}' && {script}", work.display());
        self.proxied(&[], &["sh", "-ec", &script])
            .env("URL", &self.url)
            .env("HOST", &self.other_host())
            .env(
                "AUTHORITY",
                &self.folder.path("ca.pem").display().to_string(),
            )
            .env("PYTHON", &python().display().to_string())
            // That of the tests is gone with `HOME`.
            .env("RUSTUP_HOME", &rustup_home())
            .run()
    }

    /// Its host and port under a name for which programs written in Go use a proxy: they use none for `localhost`.
    fn other_host(&self) -> String {
        self.url.replace("https://localhost", OTHER_NAME)
    }

    /// How many tokens were issued.
    pub(crate) fn issued(&self) -> usize {
        let issued = fs::read_to_string(self.folder.path("issued")).unwrap_or_default();
        issued.lines().count()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        _ = self.server.kill();
        _ = self.server.wait();
    }
}

fn rustup_home() -> String {
    let home = std::env::var("HOME").unwrap_or_default();
    std::env::var("RUSTUP_HOME").unwrap_or_else(|_| format!("{home}/.rustup"))
}

/// The Python of the tests, which has requests and httpx.
pub(crate) fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let own = target
        .expect("it is below target")
        .join("python/bin/python");
    match own.exists() {
        true => own,
        false => "python3".into(),
    }
}
