//! `keyfob request`: one run of the program for each request.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::{env, io, thread};

use keyfob_conformance::case::{Body, Client, Fetched, Request, Retry};
use keyfob_conformance::outcome::{CallerGot, ErrorName, Job, Outcome};
use serde_json::json;
use url::Url;

pub(super) fn run(job: &Job) -> Outcome {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = Place(folder.path().to_owned());
    place.write("calls", "0\n");
    place.write("token.sh", &token_script(&job.client.fetches, &place));
    let mut options = vec!["--token-command".to_owned(), place.token_command()];
    options.push(format!("--retry={}", job.client.retry.attempts - 1));
    if needs_a_profile(job) {
        place.write("keyfob.toml", &profile(job, &place));
        options = vec!["--profile=job".to_owned()];
    }
    let requests = job.requests.iter();
    let results = requests
        .map(|request| {
            let output = send(&job.client, request, &options, &place);
            output.map_or_else(|error| failed(&error), |output| got(&output))
        })
        .collect();
    let calls = fs::read_to_string(place.file("calls")).ok();
    Outcome {
        results,
        fetches: calls.and_then(|calls| calls.trim().parse().ok()),
    }
}

/// The folder of a job.
struct Place(PathBuf);

impl Place {
    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).expect("the folder can be written to");
    }

    fn token_command(&self) -> String {
        format!("/bin/sh {}", self.file("token.sh").display())
    }
}

/// The nth run prints the nth token, as a token endpoint does, and counts itself in a file.
fn token_script(fetches: &[Fetched], place: &Place) -> String {
    let calls = place.file("calls");
    let calls = calls.display();
    let mut script = format!(
        "read -r n <{calls}\nn=$((n + 1))\necho \"$n\" >{calls}\ntoken=token-$n\ncase $n in\n"
    );
    for (number, fetch) in (1..).zip(fetches) {
        // Writing to a string cannot fail.
        let _ = match fetch {
            Fetched::Token(token) => writeln!(script, "{number}) token='{token}' ;;"),
            Fetched::Failure => writeln!(script, "{number}) echo 'as scripted' >&2; exit 1 ;;"),
        };
    }
    script
        + "esac\nprintf '{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":3600}' \"$token\"\n"
}

/// Whether the options cannot say what the job says. Only with a profile, the second run has the token of the first.
fn needs_a_profile(job: &Job) -> bool {
    let client = &job.client;
    let policy = Retry {
        attempts: client.retry.attempts,
        ..Retry::default()
    };
    job.requests.len() > 1
        || !client.origins.is_empty()
        || !client.plain_http.is_empty()
        || client.header.is_some()
        || !client.rejected_statuses.is_empty()
        || client.timeout_ms != Client::TIMEOUT_MS
        || client.retry != policy
}

fn profile(job: &Job, place: &Place) -> String {
    let (client, retry) = (&job.client, &job.client.retry);
    #[expect(clippy::cast_precision_loss, reason = "a case has short times")]
    let seconds = |ms: u64| json!(ms as f64 / 1000.0);
    // A profile has to name its origins. If the job has none, they are those of its URLs.
    let named = match client.origins.is_empty() && client.plain_http.is_empty() {
        true => job.requests.iter().map(|request| &request.url).collect(),
        false => client.origins.iter().collect::<Vec<_>>(),
    };
    let origins: Vec<_> = named.into_iter().filter_map(|url| origin(url)).collect();
    let command = format!("command:{}", place.token_command());
    let keys = [
        ("origins", json!(origins)),
        ("allow_plain_http", json!(client.plain_http)),
        ("rejected_statuses", json!(client.rejected_statuses)),
        ("timeout", seconds(client.timeout_ms)),
        ("retry.attempts", json!(retry.attempts)),
        ("retry.total", seconds(retry.total_ms)),
        ("retry.first_pause", seconds(retry.first_pause_ms)),
        ("retry.longest_pause", seconds(retry.longest_pause_ms)),
        ("retry.also", json!(retry.also)),
        ("token.source", json!(command)),
        ("token.header", json!(client.header)),
    ];
    // Texts, numbers and lists are the same in TOML as in JSON.
    let set = keys.iter().filter(|(_, value)| !value.is_null());
    set.fold("[profiles.job]\n".to_owned(), |text, (key, value)| {
        text + &format!("{key} = {value}\n")
    })
}

/// A profile takes origins alone, without a path.
fn origin(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    Some(url.origin().ascii_serialization())
}

fn send(
    client: &Client,
    request: &Request,
    options: &[String],
    place: &Place,
) -> io::Result<Output> {
    let program = env::current_exe()?.with_file_name("keyfob");
    let mut command = Command::new(program);
    command
        .args(["request", "--include"])
        .args(options)
        .args(header_options(client, request))
        .env("KEYFOB_CONFIG", place.file("keyfob.toml"))
        .env("XDG_STATE_HOME", &place.0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if !place.file("keyfob.toml").exists() {
        command
            .env_remove("KEYFOB_CONFIG")
            .env("XDG_CONFIG_HOME", &place.0);
    }
    if request.idempotent {
        command.arg("--idempotent");
    }
    let mut pieces = None;
    match &request.body {
        Body::None => {}
        Body::Bytes { text } => {
            place.write("body", text);
            let file = place.file("body");
            command.arg("--data").arg(format!("@{}", file.display()));
        }
        Body::File {
            path, offset: 0, ..
        } => {
            command.args(["--upload-file", path]);
        }
        Body::File { path, offset, .. } => {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(*offset as u64))?;
            command.args(["--data", "@-"]).stdin(file);
        }
        Body::Generator { pieces: texts } => {
            command.args(["--data", "@-"]).stdin(Stdio::piped());
            pieces = Some(texts.clone());
        }
        Body::Multipart { .. } => {
            return Err(io::Error::other("keyfob request makes no forms with parts"));
        }
    }
    let mut child = command.args([&request.method, &request.url]).spawn()?;
    if let (Some(mut stdin), Some(pieces)) = (child.stdin.take(), pieces) {
        // It fails if the program ends before it has read all.
        thread::spawn(move || {
            let mut pieces = pieces.iter();
            pieces.try_for_each(|piece| stdin.write_all(piece.as_bytes()))
        });
    }
    child.wait_with_output()
}

/// The program has no defaults for all requests, so its user gives them each time.
fn header_options(client: &Client, request: &Request) -> Vec<String> {
    let is_own = |name: &str| {
        let mut own = request.headers.iter();
        own.any(|(other, _)| other.eq_ignore_ascii_case(name))
    };
    let defaults = client.default_headers.iter();
    let defaults = defaults.filter(|(name, _)| !is_own(name));
    let headers = defaults.chain(&request.headers);
    headers
        .map(|(name, value)| format!("--header={name}: {value}"))
        .collect()
}

/// What a user sees of a run of the program.
fn got(output: &Output) -> CallerGot {
    let error = error(output.status.code());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    CallerGot {
        error,
        text: error.map(|_| text),
        ..response(&output.stdout).unwrap_or_default()
    }
}

/// The response as `--include` prints it.
fn response(stdout: &[u8]) -> Option<CallerGot> {
    let text = String::from_utf8_lossy(stdout);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    Some(CallerGot {
        status: Some(status),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: Some(body.to_owned()),
        ..CallerGot::default()
    })
}

/// The kind of error that an exit code of the program stands for.
fn error(code: Option<i32>) -> Option<ErrorName> {
    match code {
        Some(0) => None,
        Some(1 | 6 | 7 | 18 | 35 | 52 | 56 | 60) => Some(ErrorName::Transport),
        Some(2) => Some(ErrorName::Input),
        Some(3) => Some(ErrorName::NoToken),
        Some(4) => Some(ErrorName::Origin),
        Some(28) => Some(ErrorName::Timeout),
        Some(47) => Some(ErrorName::Redirect),
        _ => Some(ErrorName::Other),
    }
}

fn failed(error: &io::Error) -> CallerGot {
    CallerGot {
        error: Some(ErrorName::Other),
        text: Some(error.to_string()),
        ..CallerGot::default()
    }
}
