//! `keyfob run` with the token in the environment, and how it treats the program that it runs.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use keyfob_testkit::{Expect, ScriptedResponse, Server, TokenResponse, json};
use rustix::process::{Pid, Signal, kill_process};

use crate::keyfob::{Folder, Keyfob, finish};
use crate::stored_tokens::{API, Machine};
use crate::waiting::wait_until;

const KEYS: &str = "env = [\"API_TOKEN\", \"OTHER_TOKEN\"]";

#[test]
fn the_program_gets_the_token_in_each_variable_and_its_code_is_passed_on() {
    let machine = Machine::new(API, KEYS);
    let script = "echo $API_TOKEN $OTHER_TOKEN $MORE; exit 7";
    let more = ["run", "--profile=a", "--env=MORE=a"];
    let done = machine.run(&[&more[..], &["--", "sh", "-c", script]].concat());
    assert_eq!(
        (done.code, &*done.stdout),
        (7, "token-1 token-1 token-1\n"),
        "{done:?}"
    );
    assert_eq!(done.stderr.lines().count(), 3, "{done:?}");
    for part in ["API_TOKEN", "expires in 59 min", "can read"] {
        assert!(done.stderr.contains(part), "{part}: {done:?}");
    }
    assert!(!done.stderr.contains("token-1"), "{done:?}");
    let quiet = machine.run(&["run", "-q", "--profile=a", "true"]);
    assert_eq!((quiet.code, &*quiet.stderr), (0, ""), "{quiet:?}");
    assert_eq!(machine.endpoint.calls(), 1);
}

#[test]
fn r2_without_a_token_the_program_is_not_started() {
    let machine = Machine::new(API, KEYS);
    machine
        .endpoint
        .always(TokenResponse::error("invalid_client"));
    let folder = Folder::new();
    let mark = folder.path("mark").display().to_string();
    let done = machine.run(&["run", "--profile=a", "touch", &mark]);
    assert_eq!(done.code, 3, "{done:?}");
    let lifetime = TokenResponse::token().field("expires_in", json!(600));
    machine.endpoint.always(lifetime);
    let short = ["run", "--profile=a", "--min-valid=3600", "touch", &mark];
    let done = machine.run(&short);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(!fs::exists(mark).expect("the folder is ours"));
}

#[test]
fn a_program_that_cannot_be_started_has_the_codes_of_env() {
    let machine = Machine::new(API, KEYS);
    let folder = Folder::new();
    let plain = folder.file("plain", "echo").display().to_string();
    for (program, code) in [
        ("no-such-program", 127),
        ("/no/such/program", 127),
        ("", 127),
        (&*plain, 126),
        ("/", 126),
    ] {
        let done = machine.run(&["run", "-q", "--profile=a", "--", program]);
        assert_eq!(done.code, code, "{program}: {done:?}");
        assert!(done.complaint().contains("the program"), "{done:?}");
    }
}

#[test]
fn profiles_that_do_not_fit_the_command_are_usage_errors() {
    let machine = Machine::new(API, "");
    for (arguments, part) in [
        (&["run", "true"][..], "--profile"),
        (&["run", "--profile=a"], "COMMAND"),
        (&["run", "--profile=a", "true"], "--env API_TOKEN=a"),
        (&["run", "--profile=b", "true"], "no profile"),
        (&["run", "--env=A=b", "true"], "no profile"),
        (&["run", "--env=a", "true"], "API_TOKEN=ehr"),
    ] {
        let done = machine.run(arguments);
        assert_eq!(done.code, 2, "{arguments:?}: {done:?}");
        assert!(done.stderr.contains(part), "{part}: {done:?}");
    }
    assert_eq!(machine.endpoint.calls(), 0);
}

#[test]
fn s1_the_program_sees_no_variable_of_keyfob_and_no_other_secret() {
    let machine = Machine::new(API, KEYS);
    let profiles = "[profiles.b]\norigins = \"https://b.example\"\ntoken = \"env:OTHER_SECRET\"\n\
                    [profiles.c]\norigins = \"https://c.example\"\ntoken = \"env:C_SECRET\"\nenv = \"C_TOKEN\"\n";
    let folder = Folder::new();
    let file = folder.file("keyfob.toml", profiles).display().to_string();
    let done = machine
        .keyfob(&["run", "--profile=c", "--config", &file, "--", "env"])
        .env("OTHER_SECRET", "s3cret")
        .env("C_SECRET", "t0ken")
        .env("KEYFOB_TOKEN_COMMAND", "echo t0ken")
        .run();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("C_TOKEN=t0ken\n"), "{done:?}");
    for hidden in ["KEYFOB_", "OTHER_SECRET", "C_SECRET"] {
        assert!(!done.stdout.contains(hidden), "{hidden}: {done:?}");
    }
}

#[test]
fn a_program_that_outlives_its_token_leads_to_a_warning() {
    let machine = Machine::new(API, KEYS);
    machine
        .endpoint
        .always(TokenResponse::token().field("expires_in", json!(1)));
    let done = machine.run(&["run", "-q", "--profile=a", "sleep", "2"]);
    assert_eq!(done.code, 0);
    assert!(done.complaint().contains("has expired"), "{done:?}");
}

#[test]
fn a_program_that_a_signal_ended_gives_128_plus_its_number() {
    let machine = Machine::new(API, KEYS);
    let done = machine.run(&["run", "-q", "--profile=a", "sh", "-c", "kill -KILL $$"]);
    assert_eq!((done.code, &*done.stderr), (137, ""), "{done:?}");
    // A shell ends its loop after Ctrl-C only if the program was ended by the signal itself.
    let ended = machine.keyfob(&["run", "-q", "--profile=a", "sh", "-c", "kill -INT $$"]);
    let status = ended.start().wait().expect("it ends");
    assert_eq!(status.signal(), Some(2), "{status:?}");
}

/// A program that creates `ready`, says each time that it got the signal, and ends with 5.
///
/// Between `ready` and the signal it starts no process: a shell that shares its memory with a child that it is starting loses signals.
fn waiting_program(signal: &str, ready: &Path) -> String {
    format!(
        "trap 'echo got {signal}' {signal}; sleep 60 & : >'{}'; wait $!; kill $!; sleep 0.2; exit 5",
        ready.display()
    )
}

#[test]
fn a_signal_for_keyfob_reaches_the_program_once() {
    let machine = Machine::new(API, KEYS);
    for (name, signal) in [
        ("TERM", Signal::TERM),
        ("HUP", Signal::HUP),
        ("INT", Signal::INT),
        ("QUIT", Signal::QUIT),
        ("USR1", Signal::USR1),
        ("WINCH", Signal::WINCH),
    ] {
        let folder = Folder::new();
        let script = waiting_program(name, &folder.path("ready"));
        let child = machine.keyfob(&["run", "-q", "--profile=a", "sh", "-c", &script]);
        let child = child.start();
        wait_until("the program is ready", || {
            fs::exists(folder.path("ready")).ok().filter(|found| *found)
        });
        send(&child, signal);
        let done = finish(child);
        assert_eq!((done.code, done.stdout), (5, format!("got {name}\n")));
    }
}

#[test]
fn ctrl_c_at_a_terminal_reaches_the_program_once() {
    let machine = Machine::new(API, KEYS);
    let folder = Folder::new();
    let ready = folder.path("ready");
    let script = waiting_program("INT", &ready);
    let at_terminal = machine
        .keyfob(&["run", "-q", "--profile=a", "sh", "-c", &script])
        .at_terminal();
    let mut child = at_terminal.stdin(Stdio::piped()).start();
    wait_until("the program is ready", || {
        fs::exists(&ready).ok().filter(|found| *found)
    });
    let mut keys = child.stdin.take().expect("it is a pipe");
    keys.write_all(b"\x03").expect("the terminal reads keys");
    let done = finish(child);
    assert_eq!(done.stdout.matches("got INT").count(), 1, "{done:?}");
    assert_eq!(done.code, 5, "{done:?}");
}

#[test]
fn keyfob_stops_and_goes_on_with_the_program() {
    let machine = Machine::new(API, KEYS);
    let child = machine.keyfob(&[
        "run",
        "-q",
        "--profile=a",
        "sh",
        "-c",
        "kill -STOP $$; exit 5",
    ]);
    let child = child.start();
    let path = format!("/proc/{}/stat", child.id());
    wait_until("keyfob is stopped", || {
        let stat = fs::read_to_string(&path).ok()?;
        stat.contains(") T ").then_some(())
    });
    send(&child, Signal::CONT);
    assert_eq!(finish(child).code, 5);
}

#[test]
fn what_the_program_leaves_running_does_not_keep_keyfob() {
    let machine = Machine::new(API, KEYS);
    let script = "sleep 600 >/dev/null 2>&1 & echo $!";
    let done = machine.run(&["run", "-q", "--profile=a", "sh", "-c", script]);
    assert_eq!(done.code, 0, "{done:?}");
    let left: i32 = done.stdout.trim().parse().expect("a number");
    let left = Pid::from_raw(left).expect("a process");
    kill_process(left, Signal::KILL).expect("it still runs");
}

#[test]
fn standard_input_is_that_of_keyfob() {
    let machine = Machine::new(API, KEYS);
    let child = machine.keyfob(&["run", "-q", "--profile=a", "cat"]);
    let mut child = child.stdin(Stdio::piped()).start();
    let mut stdin = child.stdin.take().expect("it is a pipe");
    stdin.write_all(b"words").expect("the program reads them");
    drop(stdin);
    assert_eq!(finish(child).stdout, "words");
}

#[test]
fn p8_behind_the_proxy_the_program_gets_a_stand_in_and_no_token_is_fetched() {
    let machine = Machine::new(API, "env = \"API_TOKEN\"\nstand_in_prefix = \"ghp_\"");
    let script = "echo $API_TOKEN; echo $HTTPS_PROXY; echo $https_proxy; echo $NO_PROXY; cat $SSL_CERT_FILE $CURL_CA_BUNDLE | grep -c BEGIN; env";
    let keyfob = machine.keyfob(&["run", "--proxy", "--profile=a", "sh", "-c", script]);
    let done = keyfob.env("NO_PROXY", "intern.example,.example.com").run();
    let lines: Vec<_> = done.stdout.lines().collect();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        lines[0].starts_with("ghp_") && lines[0].len() > 30,
        "{done:?}"
    );
    assert!(
        lines[1].starts_with("http://run:") && lines[1] == lines[2],
        "{done:?}"
    );
    assert_eq!(lines[3], "intern.example");
    assert!(
        lines[4].parse::<u32>().is_ok_and(|count| count >= 2),
        "{done:?}"
    );
    assert!(!done.stdout.contains("KEYFOB_"), "{done:?}");
    assert!(done.complaint().contains("sees no token"), "{done:?}");
    assert_eq!(machine.endpoint.calls(), 0);
}

#[test]
fn p8_the_program_does_not_see_what_a_preset_reads_from_the_environment() {
    let folder = Folder::new();
    let file = "[profiles.a]\norigins = \"https://a.example\"\n[profiles.a.token]\n\
                preset = \"azure_managed_identity\"\nresource = \"https://vault.azure.net\"\n";
    let config = folder.file("keyfob.toml", file).display().to_string();
    let run = ["run", "--proxy", "--profile=a", "--config", &config, "env"];
    let done = Keyfob::new(run)
        .env("IDENTITY_ENDPOINT", "http://127.0.0.1:1/token")
        .env("IDENTITY_HEADER", "s3cret")
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "s3cret")
        .run();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!done.stdout.contains("s3cret"), "{done:?}");
    assert!(done.stdout.contains("IDENTITY_ENDPOINT="), "{done:?}");
}

#[test]
fn p8_a_field_with_the_stand_in_twice_counts_as_one() {
    let server = Server::start();
    server.expect(
        Expect::any()
            .bearer("token-1")
            .always(ScriptedResponse::text("done")),
    );
    let machine = Machine::new(&server.url(), KEYS);
    for name in ["Private-Token", "Authorization"] {
        let script = format!(
            "curl -sS -H \"{name}: $API_TOKEN\" -H \"{name}: $API_TOKEN\" '{}'",
            server.url_for("/x")
        );
        let run = ["run", "-q", "--proxy", "--require-stand-in", "--profile=a"];
        let done = machine.run(&[&run[..], &["sh", "-c", &script]].concat());
        assert_eq!((done.code, &*done.stdout), (0, "done"), "{name}: {done:?}");
    }
}

#[test]
fn p8_a_secret_in_an_inherited_descriptor_is_refused() {
    let folder = Folder::new();
    let secret = folder.file("secret", "t0ken");
    let of = |name: &str, token: &str| {
        format!(
            "[profiles.{name}]\norigins = \"https://{name}.example\"\ntoken = {token}\nenv = \"A\"\n"
        )
    };
    let nested = "{ grant = \"client_credentials\", issuer = \"https://a.example\", client_id = \"a\", \
                  client_secret = \"file:/proc/self/fd/3\" }";
    let exchange = "{ grant = \"token_exchange\", issuer = \"https://a.example\", client_id = \"a\", \
                    client_secret = \"env:B\", subject_token = \"profile:b\" }";
    let by_descriptor = of("b", "\"file:/dev/fd/3\"");
    for profiles in [
        by_descriptor.replace("profiles.b", "profiles.a"),
        of("a", "\"file:/dev/stdin\""),
        of("a", nested),
        format!("{by_descriptor}{}", of("a", exchange)),
    ] {
        let config = folder.file("keyfob.toml", &profiles);
        let line = format!(
            "exec 3<'{}'; exec {} run --proxy --profile=a --config '{}' -- cat /dev/fd/3",
            secret.display(),
            env!("CARGO_BIN_EXE_keyfob"),
            config.display()
        );
        let mut shell = Command::new("sh");
        let done = shell.args(["-c", &line]).stdin(Stdio::null()).output();
        let done = done.expect("there is a shell");
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{profiles} {stderr}");
        assert!(
            stderr.contains("a descriptor that the program would inherit"),
            "{stderr}"
        );
        assert!(done.stdout.is_empty(), "{profiles}");
    }
}

#[test]
fn p8_a_signal_behind_the_proxy_leaves_no_file() {
    let machine = Machine::new(API, KEYS);
    let folder = Folder::new();
    let ready = folder.path("ready");
    let script = format!(
        "echo $SSL_CERT_FILE > '{0}.new'; mv '{0}.new' '{0}'; exec sleep 600",
        ready.display()
    );
    for (signal, number) in [(Signal::TERM, 15), (Signal::HUP, 1), (Signal::INT, 2)] {
        let keyfob = machine.keyfob(&["run", "-q", "--proxy", "--profile=a", "sh", "-c", &script]);
        let mut child = keyfob.start();
        let path = wait_until("the program runs", || fs::read_to_string(&ready).ok());
        assert!(fs::exists(path.trim()).expect("it can be read"));
        send(&child, signal);
        let status = child.wait().expect("it ends");
        assert_eq!(status.signal(), Some(number), "{status:?}");
        assert!(!fs::exists(path.trim()).expect("it can be read"));
        fs::remove_file(&ready).expect("it is there");
    }
}

#[test]
fn a_profile_without_its_sign_in_is_reported_before_the_program_starts() {
    let machine = Machine::new(API, KEYS);
    let profiles = "[profiles.s]\norigins = \"https://s.example\"\n[profiles.s.token]\ngrant = \"device_code\"\n\
                    issuer = \"https://idp.example\"\nclient_id = \"a\"\n";
    let folder = Folder::new();
    let file = folder.file("keyfob.toml", profiles).display().to_string();
    let done = machine.run(&[
        "run",
        "-q",
        "--proxy",
        "--profile=s",
        "--config",
        &file,
        "true",
    ]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.complaint().contains("keyfob login s"), "{done:?}");
}

#[test]
fn options_of_the_proxy_that_cannot_be_used_are_usage_errors() {
    let machine = Machine::new(API, KEYS);
    for (options, part) in [
        (&["--allow-host=a.example"][..], "--proxy"),
        (
            &["--proxy", "--allow-host=https://a.example"],
            "an allowed host",
        ),
        (&["--proxy", "--allow-host=127.1"], "host"),
    ] {
        let done = machine.run(&[&["run", "--profile=a"], options, &["true"]].concat());
        assert_eq!(done.code, 2, "{options:?}: {done:?}");
        assert!(done.stderr.contains(part), "{part}: {done:?}");
    }
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_child(child);
    kill_process(pid, signal).expect("it runs");
}
