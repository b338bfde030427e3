//! SIGHUP: `keyfob proxy` reads its file and its secrets again, and drops no request (P7).

use std::fs;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use keyfob_testkit::{Expect, Gate, ScriptedResponse, Server};
use rustix::process::Signal;

use crate::keyfob::Finished;
use crate::proxy::{Proxy, RawResponse, ask, folder, get, profile};
use crate::proxy_admission::upstream;
use crate::proxy_service::gated;
use crate::waiting::{TIMEOUT, wait_until};

#[test]
fn p7_a_reload_changes_routes_and_drops_no_request() {
    let (old, gate) = gated();
    let new = Server::start();
    new.expect(Expect::any().always(ScriptedResponse::text("new")));
    let proxy = Proxy::start(&["api"], &profile(&old));
    let late = thread::scope(|scope| {
        let request = scope.spawn(|| proxy.over_socket(&get("/slow", "")));
        old.wait_for_calls(1, TIMEOUT);
        proxy.rewrite(&profile(&new));
        reload(&proxy, 1);
        assert_eq!(proxy.over_socket(&get("/x", "")).body(), "new");
        gate.open();
        request.join().expect("the request ends")
    });
    assert_eq!(late.body(), "late", "{late:?}");
}

#[test]
fn p7_a_broken_file_leaves_everything_as_it_was() {
    let server = upstream();
    let proxy = Proxy::start(&["api"], &profile(&server));
    for (number, broken) in [
        "[profiles.api]\nbase = 1\n".to_owned(),
        "not TOML".to_owned(),
        profile(&server).replace("profiles.api", "profiles.other"),
        format!(
            "{}[proxy]\nclients = {{ a = \"file:/no/such/file\" }}\n",
            profile(&server)
        ),
        format!("{}[proxy]\nhosts = \"a b\"\n", profile(&server)),
        format!(
            "{}[proxy]\nstatus_listen = \"192.0.2.1:1\"\n",
            profile(&server)
        ),
        format!("{}[proxy]\nusers = \"no-such-user\"\n", profile(&server)),
        format!(
            "{}[proxy]\naccess_log = \"/no/such/folder/log\"\n",
            profile(&server)
        ),
    ]
    .into_iter()
    .enumerate()
    {
        proxy.rewrite(&broken);
        proxy.send(Signal::HUP);
        wait_until("the mistake is reported", || {
            let reports = proxy.stderr().matches("stays as it was").count();
            (reports > number).then_some(())
        });
        assert_eq!(proxy.over_socket(&get("/x", "")).body(), "done", "{broken}");
    }
    proxy.rewrite(&profile(&server));
    reload(&proxy, 1);
    assert_eq!(proxy.over_socket(&get("/x", "")).body(), "done");
}

#[test]
fn p7_a_reload_opens_and_closes_listeners_and_reads_secrets_again() {
    let server = upstream();
    let folder = folder();
    let secret = folder.path().join("secret");
    fs::write(&secret, "the-first-secret-of-a-client").expect("the folder is ours");
    let (first, second) = (folder.path().join("a.sock"), folder.path().join("b.sock"));
    let config = |sockets: &[&std::path::Path]| {
        let mut text = format!(
            "{}[proxy]\nclients = {{ c = \"file:{}\" }}\n[proxy.routes.t]\nprofile = \"api\"\nlisten = \"127.0.0.1:0\"\n",
            profile(&server),
            secret.display()
        );
        for (number, socket) in sockets.iter().enumerate() {
            text.push_str(&format!(
                "[proxy.routes.r{number}]\nprofile = \"api\"\nsocket = \"{}\"\n",
                socket.display()
            ));
        }
        text
    };
    let proxy = Proxy::start_in(folder, &[], &config(&[&first]), |keyfob| keyfob);
    let with = |secret: &str| {
        let request = get("/x", &format!("Keyfob-Client-Secret: {secret}\r\n"));
        proxy
            .over_tcp(&request.replace("localhost", &proxy.address()))
            .status()
    };
    assert_eq!(
        (
            with("the-first-secret-of-a-client"),
            with("the-second-secret-of-a-client")
        ),
        (200, 401)
    );
    fs::write(&secret, "the-second-secret-of-a-client").expect("the folder is ours");
    proxy.rewrite(&config(&[&second]));
    reload(&proxy, 1);
    // The port that the system chose stays.
    assert_eq!(
        (
            with("the-first-secret-of-a-client"),
            with("the-second-secret-of-a-client")
        ),
        (401, 200)
    );
    wait_until("the first socket is gone", || {
        (!first.exists()).then_some(())
    });
    let response = ask(
        UnixStream::connect(&second).expect("it listens"),
        &get("/x", ""),
    );
    assert_eq!(response.body(), "done", "{response:?}");
}

#[test]
fn p7_a_reload_begins_a_new_file_of_the_log() {
    let server = upstream();
    let folder = folder();
    let log = folder.path().join("access.log");
    let moved = folder.path().join("access.log.1");
    let argument = log.to_str().expect("a plain path").to_owned();
    let proxy = Proxy::start_in(
        folder,
        &["api", "--access-log", &argument],
        &profile(&server),
        |keyfob| keyfob,
    );
    let lines =
        |path: &std::path::Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    proxy.over_socket(&get("/x", ""));
    wait_until("the line is written", || (lines(&log) == 1).then_some(()));
    fs::rename(&log, &moved).expect("it is ours");
    reload(&proxy, 1);
    proxy.over_socket(&get("/x", ""));
    proxy.over_socket(&get("/x", ""));
    wait_until("the lines are written", || (lines(&log) == 2).then_some(()));
    assert_eq!(lines(&moved), 1);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(&log).expect("it exists").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn p7_requests_at_a_removed_listener_end_before_the_proxy_does() {
    let (response, done) = stopped_with_a_request_at_a_removed_listener(|_, gate| {
        // A proxy that does not wait ends in this time.
        thread::sleep(Duration::from_millis(300));
        gate.open();
    });
    assert_eq!(response.body(), "late", "{response:?}");
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn p7_a_second_signal_cuts_off_requests_at_a_removed_listener() {
    let (response, done) =
        stopped_with_a_request_at_a_removed_listener(|proxy, _| proxy.send(Signal::INT));
    assert_eq!(response.0, "");
    assert_eq!(done.code, 130, "{done:?}");
}

/// Stops a proxy while it has a request at a listener that a reload has removed. Then this happens. Returns the response to the
/// request, and how the proxy ended.
fn stopped_with_a_request_at_a_removed_listener(
    then: impl FnOnce(&Proxy, &Gate),
) -> (RawResponse, Finished) {
    let (server, gate) = gated();
    let folder = folder();
    let [old, new] = ["old.sock", "new.sock"].map(|name| folder.path().join(name));
    let config = |socket: &std::path::Path| {
        let table = format!("[proxy.routes.api]\nsocket = \"{}\"\n", socket.display());
        profile(&server) + &table
    };
    let proxy = Proxy::start_in(folder, &[], &config(&old), |keyfob| keyfob);
    thread::scope(|scope| {
        let connect = || UnixStream::connect(&old).expect("it listens");
        let request = scope.spawn(move || ask(connect(), &get("/slow", "")));
        server.wait_for_calls(1, TIMEOUT);
        proxy.rewrite(&config(&new));
        reload(&proxy, 1);
        proxy.send(Signal::TERM);
        wait_until("it accepts no more", || UnixStream::connect(&new).err());
        then(&proxy, &gate);
        let done = proxy.ended();
        (request.join().expect("the request ends"), done)
    })
}

#[test]
fn p7_a_signal_ends_the_proxy_during_a_reload() {
    let server = upstream();
    let folder = folder();
    let began = folder.path().join("began");
    let script = folder.path().join("token.sh");
    let text = format!("touch '{}'\nexec sleep 600\n", began.display());
    fs::write(&script, text).expect("the folder is ours");
    let slow = format!("command:sh {}", script.display());
    let proxy = Proxy::start_in(folder, &["api"], &profile(&server), |keyfob| keyfob);
    proxy.rewrite(&profile(&server).replace("env:TOKEN", &slow));
    proxy.send(Signal::HUP);
    wait_until("the new token is fetched", || began.exists().then_some(()));
    proxy.send(Signal::TERM);
    let done = proxy.ended();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!done.stderr.contains("was read again"), "{done:?}");
}

#[test]
fn p7_a_second_reload_follows_the_one_in_progress() {
    let server = upstream();
    let folder = folder();
    let began = folder.path().join("began");
    let go_on = folder.path().join("go-on");
    let script = folder.path().join("token.sh");
    let text = format!(
        "touch '{}'\nuntil test -e '{}'; do sleep 0.05; done\necho t0ken\n",
        began.display(),
        go_on.display()
    );
    fs::write(&script, text).expect("the folder is ours");
    let slow = format!("command:sh {}", script.display());
    let proxy = Proxy::start_in(folder, &["api"], &profile(&server), |keyfob| keyfob);
    proxy.rewrite(&profile(&server).replace("env:TOKEN", &slow));
    proxy.send(Signal::HUP);
    wait_until("the new token is fetched", || began.exists().then_some(()));
    proxy.send(Signal::HUP);
    fs::write(&go_on, "").expect("the folder is ours");
    wait_until("the file is read twice", || {
        let reports = proxy.stderr().matches("was read again").count();
        (reports == 2).then_some(())
    });
}

/// Reloads, for this time.
pub(crate) fn reload(proxy: &Proxy, time: usize) {
    proxy.send(Signal::HUP);
    wait_until("the file is read again", || {
        let reports = proxy.stderr().matches("was read again").count();
        (reports >= time).then_some(())
    });
}
