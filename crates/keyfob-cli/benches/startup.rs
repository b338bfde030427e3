//! How long `keyfob token --profile` takes, from the start of the process to its end, if the token is stored.
//!
//! Run with `cargo bench -p keyfob-cli --bench startup`. The limit applies to the median. Every second run prints only the version,
//! which is the floor.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio, id};
use std::time::{Duration, Instant};
use std::{env, fs};

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("startup-{}", id()));
    fs::create_dir_all(&folder).expect("the folder of the build can be written");
    let config = folder.join("keyfob.toml");
    let helper =
        r#"command:echo '{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}'"#;
    let profile =
        format!("[profiles.a]\norigins = \"https://api.example.com\"\ntoken = '''{helper}'''\n");
    fs::write(&config, profile).expect("the folder is ours");
    let keyfob = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
        command
            .args(arguments)
            .env("KEYFOB_CONFIG", &config)
            .env("XDG_STATE_HOME", folder.join("state"))
            .stdin(Stdio::null());
        let start = Instant::now();
        let output = command.output().expect("the program was built");
        let elapsed = start.elapsed();
        assert!(output.status.success(), "{output:?}");
        elapsed
    };
    keyfob(&["token", "--profile=a"]);
    let (mut stored, mut floor): (Vec<_>, Vec<_>) = (0..RUNS)
        .map(|_| (keyfob(&["token", "--profile=a"]), keyfob(&["--version"])))
        .unzip();
    // `cargo clean` removes the rest.
    _ = fs::remove_dir_all(&folder);
    show("a stored token", &mut stored);
    show("the version, for the floor", &mut floor);
    match stored[RUNS / 2] <= LIMIT {
        true => ExitCode::SUCCESS,
        false => {
            println!("the limit is {LIMIT:?}");
            ExitCode::FAILURE
        }
    }
}

fn show(what: &str, times: &mut [Duration]) {
    times.sort();
    let (median, high) = (times[times.len() / 2], times[times.len() * 95 / 100]);
    println!(
        "{what}: least {:?}, median {median:?}, 95 % within {high:?}",
        times[0]
    );
}

const RUNS: usize = 200;

/// How long a stored token may take, including the start of the process.
const LIMIT: Duration = Duration::from_millis(5);
