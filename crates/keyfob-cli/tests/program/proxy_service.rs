//! `keyfob proxy` as a service: how it ends, what it tells systemd, its health, its metrics and its log (P7).

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use keyfob_testkit::{Expect, Gate, ScriptedResponse, Server, json};
use rustix::process::Signal;

use crate::proxy::{Proxy, ask, ask_at, folder, get, keyfob, profile};
use crate::proxy_admission::upstream;
use crate::waiting::{TIMEOUT, wait_until};

#[test]
fn p7_on_a_signal_requests_in_progress_end_and_no_file_is_left() {
    for signal in [Signal::TERM, Signal::INT] {
        let (server, gate) = gated();
        let proxy = Proxy::start(&["api"], &profile(&server));
        let socket = proxy.socket();
        let response = thread::scope(|scope| {
            let request = scope.spawn(|| proxy.over_socket(&get("/slow", "")));
            server.wait_for_calls(1, TIMEOUT);
            proxy.send(signal);
            wait_until("it accepts no more", || UnixStream::connect(&socket).err());
            gate.open();
            request.join().expect("the request ends")
        });
        assert_eq!(response.body(), "late", "{response:?}");
        let done = proxy.ended();
        assert_eq!(done.code, 0, "{done:?}");
        assert!(!socket.exists());
    }
}

#[test]
fn p7_a_second_signal_cuts_off_requests_in_progress() {
    let (server, _gate) = gated();
    let proxy = Proxy::start(&["api"], &profile(&server));
    let socket = proxy.socket();
    let done = thread::scope(|scope| {
        let request = scope.spawn(|| {
            ask(
                UnixStream::connect(&socket).expect("it listens"),
                &get("/slow", ""),
            )
        });
        server.wait_for_calls(1, TIMEOUT);
        proxy.send(Signal::TERM);
        wait_until("it accepts no more", || UnixStream::connect(&socket).err());
        proxy.send(Signal::INT);
        let done = proxy.ended();
        assert_eq!(request.join().expect("the request ends").0, "");
        done
    });
    assert_eq!(done.code, 130, "{done:?}");
    assert!(done.stderr.contains("cut off"), "{done:?}");
    assert!(!socket.exists());
}

#[test]
fn p7_what_has_not_ended_after_the_drain_time_is_cut_off() {
    let (server, _gate) = gated();
    let proxy = Proxy::start(&["api", "--drain", "0.3"], &profile(&server));
    let socket = proxy.socket();
    let done = thread::scope(|scope| {
        scope.spawn(|| {
            ask(
                UnixStream::connect(&socket).expect("it listens"),
                &get("/slow", ""),
            )
        });
        server.wait_for_calls(1, TIMEOUT);
        proxy.send(Signal::TERM);
        proxy.ended()
    });
    assert_eq!(done.code, 143, "{done:?}");
}

#[test]
fn p7_a_proxy_whose_terminal_closes_ends_and_leaves_no_file() {
    let server = upstream();
    let folder = folder();
    let socket = folder.path().join("run/keyfob/proxy.sock");
    let mut terminal = keyfob(&folder, &["api"], &profile(&server))
        .at_terminal()
        .start();
    wait_until("the proxy listens", || UnixStream::connect(&socket).ok());
    // Its end closes the terminal.
    terminal.kill().expect("it is ours");
    _ = terminal.wait();
    wait_until("the socket is gone", || (!socket.exists()).then_some(()));
}

#[test]
fn p7_systemd_is_told_each_state() {
    let server = upstream();
    let folder = folder();
    let path = folder.path().join("notify");
    let notified = UnixDatagram::bind(&path).expect("the folder is ours");
    notified
        .set_read_timeout(Some(TIMEOUT))
        .expect("above zero");
    let next = || {
        let mut buffer = [0; 256];
        let length = notified.recv(&mut buffer).expect("a message comes");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let socket = path.to_str().expect("a plain path").to_owned();
    let proxy = Proxy::start_in(folder, &["api"], &profile(&server), |keyfob| {
        keyfob.env("NOTIFY_SOCKET", &socket)
    });
    assert_eq!(next(), "READY=1");
    proxy.send(Signal::HUP);
    assert!(next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(next(), "READY=1");
    proxy.send(Signal::TERM);
    assert_eq!(next(), "STOPPING=1");
    assert_eq!(proxy.ended().code, 0);
}

#[test]
fn p7_sockets_from_systemd_are_used_and_stay() {
    let server = upstream();
    let folder = folder();
    let config = folder.path().join("keyfob.toml");
    fs::write(&config, profile(&server)).expect("the folder is ours");
    let path = folder.path().join("systemd.sock");
    let socket = UnixListener::bind(&path).expect("the folder is ours");
    let program = env!("CARGO_BIN_EXE_keyfob");
    let line = format!(
        "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=api exec {program} proxy api --config {}",
        config.display()
    );
    let mut child = Command::new("setsid")
        .args(["sh", "-c", &line])
        .env("TOKEN", "t0ken")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)))
        .stderr(Stdio::null())
        .spawn()
        .expect("every Linux has it");
    let response = ask(
        UnixStream::connect(&path).expect("it listens"),
        &get("/x", ""),
    );
    assert_eq!(response.body(), "done", "{response:?}");
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).expect("a process");
    rustix::process::kill_process(pid, Signal::TERM).expect("it runs");
    assert!(child.wait().expect("it is ours").success());
    // The next instance gets the same file.
    assert!(path.exists());
}

#[test]
fn p7_health_metrics_and_log_show_what_happened_and_no_secret() {
    let server = Server::start();
    server.expect(Expect::get("/x").always(ScriptedResponse::text("done")));
    server.expect(Expect::any().always(ScriptedResponse::status(503)));
    let arguments = [
        "api",
        "--listen",
        "127.0.0.1:0",
        "--status-listen",
        "127.0.0.1:0",
        "--access-log",
        "-",
    ];
    let proxy = Proxy::start(&arguments, &profile(&server));
    let (secret, status) = (proxy.secret(), proxy.status_address());
    let page = |path: &str| ask_at(&status, &get(path, "").replace("localhost", &status));
    let ask = |target: &str, secret: &str| {
        let request = get(target, &format!("Keyfob-Client-Secret: {secret}\r\n"));
        proxy.over_tcp(&request.replace("localhost", &proxy.address()))
    };
    assert_eq!(ask("/x?key=in-the-query", &secret).body(), "done");
    assert_eq!(ask("/gone", &secret).status(), 503);
    assert_eq!(ask("/x", "a-wrong-secret-of-a-client").status(), 401);
    let lines: Vec<_> = wait_until("the log has three lines", || {
        let text = proxy.stdout();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            .collect();
        (lines.len() == 3).then_some(lines)
    });
    for (key, value) in [
        ("client", json!("client")),
        ("listener", json!(proxy.address())),
        ("route", json!("api")),
        ("method", json!("GET")),
        ("path", json!("/x")),
        ("status", json!(200)),
        ("bytes_in", json!(0)),
        ("bytes_out", json!(4)),
        ("retries", json!(0)),
        ("renewals", json!(0)),
        ("error", json!(null)),
    ] {
        assert_eq!(lines[0][key], value, "{key}: {}", lines[0]);
    }
    assert_eq!(
        (&lines[1]["status"], &lines[1]["path"]),
        (&json!(503), &json!("/gone"))
    );
    assert_eq!(
        (&lines[2]["status"], &lines[2]["error"]),
        (&json!(401), &json!("wrong_secret"))
    );
    assert_eq!(
        (
            page("/healthz").status(),
            page("/readyz").status(),
            page("/x").status()
        ),
        (200, 200, 404)
    );
    let ready: serde_json::Value =
        serde_json::from_str(page("/readyz").body()).expect("it is JSON");
    assert_eq!(
        (&ready["ready"], &ready["routes"]["api"]["ready"]),
        (&json!(true), &json!(true))
    );
    let metrics = page("/metrics").0;
    for line in [
        "keyfob_proxy_requests_total{route=\"api\",status=\"2xx\"} 1\n",
        "keyfob_proxy_requests_total{route=\"api\",status=\"5xx\"} 1\n",
        "keyfob_proxy_refused_total{reason=\"wrong_secret\"} 1\n",
        "keyfob_proxy_sent_bytes_total{route=\"api\"} 4\n",
        "keyfob_proxy_requests_in_flight 0\n",
        "keyfob_proxy_token_valid{route=\"api\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    // They are on their own listener only, and its rules are those of the routes.
    assert_eq!(ask("/metrics", &secret).status(), 503);
    assert_eq!(ask_at(&status, &get("/metrics", "")).status(), 421);
    assert_eq!(page("/metrics").status(), 200);
    let log: String = proxy
        .stdout()
        .lines()
        .filter(|line| line.starts_with('{'))
        .collect();
    for text in [&log, &metrics, &proxy.stderr()] {
        for secret in ["t0ken", "in-the-query", &secret, "a-wrong-secret"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
}

#[test]
fn p7_without_a_token_the_proxy_is_not_ready_and_says_why() {
    let server = upstream();
    let config = profile(&server).replace("env:TOKEN", "env:NO_SUCH_TOKEN");
    let proxy = Proxy::start(&["api", "--status-listen", "127.0.0.1:0"], &config);
    wait_until("the cause is reported", || {
        let text = proxy.stderr();
        (text.contains("the route api has no token") && text.contains("NO_SUCH_TOKEN"))
            .then_some(())
    });
    let status = proxy.status_address();
    let page = |path: &str| ask_at(&status, &get(path, "").replace("localhost", &status));
    assert_eq!(
        (page("/healthz").status(), page("/readyz").status()),
        (200, 503)
    );
    let response = proxy.over_socket(&get("/x", ""));
    assert!([502, 503].contains(&response.status()), "{response:?}");
    assert_eq!(server.calls(), 0);
}

#[test]
fn p7_a_client_that_sends_no_request_in_time_is_disconnected() {
    let server = upstream();
    let config = format!("{}[proxy.limits]\nfirst_request = 0.3\n", profile(&server));
    let proxy = Proxy::start(&["api", "--listen", "127.0.0.1:0"], &config);
    for beginning in [
        "",
        "GET /x HT",
        "GET /x HTTP/1.1\r\nHost: x\r\nX-A: b\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = TcpStream::connect(proxy.address()).expect("it listens");
        client.set_read_timeout(Some(TIMEOUT)).expect("above zero");
        client.write_all(beginning.as_bytes()).expect("it reads");
        let begun = Instant::now();
        let mut rest = Vec::new();
        _ = client.read_to_end(&mut rest);
        assert!(begun.elapsed() < TIMEOUT, "{beginning:?}");
        assert!(!rest.starts_with(b"HTTP/1.1 2"), "{beginning:?}");
    }
    // A client that sends its head slowly is disconnected too, although it does not stop.
    let mut client = TcpStream::connect(proxy.address()).expect("it listens");
    let begun = Instant::now();
    while client.write_all(b"X").is_ok() {
        assert!(begun.elapsed() < TIMEOUT);
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn p7_a_client_without_requests_is_disconnected_after_the_idle_time() {
    let server = upstream();
    let config = format!("{}[proxy.limits]\nidle = 0.3\n", profile(&server));
    let proxy = Proxy::start(&["api"], &config);
    let mut client = UnixStream::connect(proxy.socket()).expect("it listens");
    client.set_read_timeout(Some(TIMEOUT)).expect("above zero");
    client
        .write_all(get("/x", "").as_bytes())
        .expect("it reads");
    let mut text = String::new();
    client
        .read_to_string(&mut text)
        .expect("it closes the connection");
    assert!(text.ends_with("done"), "{text}");
}

#[test]
fn p7_what_a_client_may_send_and_open_is_bounded() {
    let server = upstream();
    let config = format!(
        "{}[proxy.limits]\nconnections = 2\nhead_bytes = 8192\nheader_fields = 20\n",
        profile(&server)
    );
    let proxy = Proxy::start(&["api"], &config);
    let long = proxy.over_socket(&get("/x", &format!("X-A: {}\r\n", "b".repeat(20_000))));
    assert_eq!(long.status(), 431, "{long:?}");
    let many = proxy.over_socket(&get("/x", &"X-A: b\r\n".repeat(30)));
    assert_eq!(many.status(), 431, "{many:?}");
    let connect = || UnixStream::connect(proxy.socket()).expect("it listens");
    let held = [(); 2].map(|()| {
        let used = connect();
        assert_eq!(ask(&used, &get("/x", "")).status(), 200);
        used
    });
    let mut third = connect();
    third
        .write_all(get("/x", "").as_bytes())
        .expect("the system keeps it");
    third
        .set_read_timeout(Some(Duration::from_millis(300)))
        .expect("above zero");
    let mut buffer = [0; 1];
    assert!(third.read(&mut buffer).is_err(), "it waits for its turn");
    drop(held);
    third.set_read_timeout(Some(TIMEOUT)).expect("above zero");
    assert_eq!(third.read(&mut buffer).expect("it is its turn"), 1);
}

#[test]
fn p7_connections_without_a_request_keep_no_client_waiting() {
    let server = upstream();
    let config = format!(
        "{}[proxy.limits]\nconnections = 2\nfirst_request = 600\n",
        profile(&server)
    );
    let proxy = Proxy::start(&["api", "--listen", "127.0.0.1:0"], &config);
    let secret = format!("Keyfob-Client-Secret: {}\r\n", proxy.secret());
    let request = get("/x", &secret).replace("localhost", &proxy.address());
    let connect = || TcpStream::connect(proxy.address()).expect("it listens");
    let used = connect();
    assert_eq!(ask(&used, &request).status(), 200);
    let _silent = [(); 3].map(|()| connect());
    assert_eq!(proxy.over_tcp(&request).status(), 200);
    // The client that has sent a request keeps its place.
    assert_eq!(ask(&used, &request).status(), 200);
}

#[test]
fn p7_a_client_that_does_not_read_its_response_loses_its_place_after_the_idle_time() {
    let server = Server::start();
    // More than the system keeps for the client. The rest is in the proxy, which buffers as much as a head may have.
    let long = ScriptedResponse::text("b".repeat(600_000));
    server.expect(Expect::any().always(long));
    let config = format!(
        "{}[proxy.limits]\nconnections = 1\nidle = 0.3\nhead_bytes = 1048576\n",
        profile(&server)
    );
    let proxy = Proxy::start(&["api"], &config);
    let mut silent = UnixStream::connect(proxy.socket()).expect("it listens");
    silent
        .write_all(get("/x", "").as_bytes())
        .expect("it reads");
    assert_eq!(proxy.over_socket(&get("/x", "")).status(), 200);
    drop(silent);
}

/// A server whose response to `/slow` waits for the gate.
pub(crate) fn gated() -> (Server, Gate) {
    let (server, gate) = (Server::start(), Gate::new());
    server.expect(Expect::get("/slow").respond(ScriptedResponse::text("late").when(&gate)));
    server.expect(Expect::any().always(ScriptedResponse::text("done")));
    (server, gate)
}

#[test]
fn p7_a_tunnel_goes_on_while_the_proxy_drains_and_is_then_cut_off() {
    let upstream = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = upstream.local_addr().expect("it has one");
    thread::spawn(move || {
        let (mut client, _) = upstream.accept().expect("a client comes");
        let mut head = Vec::new();
        let mut byte = [0; 1];
        while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|length| length > 0)
        {
            head.push(byte[0]);
        }
        let switched =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
        _ = client.write_all(switched.as_bytes());
        let mut reader = client.try_clone().expect("it can be shared");
        _ = std::io::copy(&mut reader, &mut client);
    });
    let config =
        format!("[profiles.api]\nbase_url = \"http://{address}\"\ntoken = \"env:TOKEN\"\n");
    let proxy = Proxy::start(&["api", "--drain", "1"], &config);
    let socket = proxy.socket();
    let mut tunnel = UnixStream::connect(&socket).expect("it listens");
    tunnel.set_read_timeout(Some(TIMEOUT)).expect("above zero");
    let request = get("/x", "Connection: upgrade\r\nUpgrade: echo\r\n");
    tunnel.write_all(request.as_bytes()).expect("it reads");
    let mut text = Vec::new();
    let mut byte = [0; 1];
    while !text.ends_with(b"\r\n\r\n") && tunnel.read(&mut byte).is_ok_and(|length| length > 0) {
        text.push(byte[0]);
    }
    assert!(
        text.starts_with(b"HTTP/1.1 101 "),
        "{}",
        String::from_utf8_lossy(&text)
    );
    proxy.send(Signal::TERM);
    wait_until("it accepts no more", || UnixStream::connect(&socket).err());
    let mut echo = [0; 4];
    tunnel.write_all(b"ping").expect("the tunnel is open");
    tunnel.read_exact(&mut echo).expect("the tunnel is open");
    assert_eq!(&echo, b"ping");
    assert_eq!(tunnel.read(&mut echo).unwrap_or_default(), 0);
    assert_eq!(proxy.ended().code, 143);
}

#[test]
fn p7_without_file_descriptors_the_proxy_waits_and_then_goes_on() {
    let server = upstream();
    let folder = folder();
    let config = folder.path().join("keyfob.toml");
    fs::write(&config, profile(&server)).expect("the folder is ours");
    let socket = folder.path().join("proxy.sock");
    let program = env!("CARGO_BIN_EXE_keyfob");
    let line = format!(
        "ulimit -n 40; exec {program} proxy api --config {} --socket {}",
        config.display(),
        socket.display()
    );
    let mut child = Command::new("setsid")
        .args(["sh", "-c", &line])
        .env("TOKEN", "t0ken")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("every Linux has it");
    let connect = || UnixStream::connect(&socket).ok();
    wait_until("the proxy listens", connect);
    let held: Vec<_> = (0..60).filter_map(|_| connect()).collect();
    let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut text = String::new();
    while !text.contains("could not be accepted") {
        let length = stderr.read_line(&mut text).expect("it is text");
        assert_ne!(length, 0, "{text}");
    }
    drop(held);
    let response = ask(connect().expect("it listens"), &get("/x", ""));
    _ = child.kill();
    _ = child.wait();
    assert_eq!(response.body(), "done", "{response:?}");
}
