//! Where `keyfob proxy` listens, and which routes are where.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::proxy::{Proxy, RawResponse, ask, ask_at, folder, get, keyfob, profile};
use crate::proxy_admission::upstream;
use crate::proxy_reload::reload;
use crate::waiting::wait_until;

fn at(socket: &Path, path: &str) -> RawResponse {
    let socket = UnixStream::connect(socket).expect("the proxy listens");
    ask(socket, &get(path, ""))
}

#[test]
fn a_route_with_an_address_of_its_own_is_nowhere_else() {
    let server = upstream();
    let folder = folder();
    let [own, shared] = ["own.sock", "shared.sock"].map(|name| folder.path().join(name));
    let config = format!(
        "{}[proxy]\nsocket = \"{}\"\n[proxy.routes.api]\n[proxy.routes.admin]\nprofile = \"api\"\nsocket = \"{}\"\n",
        profile(&server),
        shared.display(),
        own.display()
    );
    let proxy = Proxy::start_in(folder, &[], &config, |keyfob| keyfob);
    for time in 0..2 {
        assert_eq!(at(&shared, "/api/x").status(), 200);
        assert_eq!(at(&shared, "/admin/x").status(), 404, "reloads: {time}");
        assert_eq!(at(&own, "/x").status(), 200);
        reload(&proxy, time + 1);
    }
}

#[test]
fn a_socket_from_systemd_has_no_route_with_an_address_of_its_own() {
    let server = upstream();
    let folder = folder();
    let own = folder.path().join("own.sock");
    let file = format!(
        "{}[proxy.routes.api]\nsocket = \"{}\"\n",
        profile(&server),
        own.display()
    );
    let path = folder.path().join("systemd.sock");
    let socket = UnixListener::bind(&path).expect("the folder is ours");
    let mut child = with_socket(folder.path(), "any", &file, "", socket.into());
    let inherited = at(&path, "/api/x").status();
    let status = at(&own, "/x").status();
    _ = child.kill();
    _ = child.wait();
    assert_eq!((inherited, status), (404, 200));
}

#[test]
fn an_address_in_the_options_replaces_that_of_the_route_in_the_file() {
    let server = upstream();
    let folder = folder();
    let [own, given] = ["own.sock", "given.sock"].map(|name| folder.path().join(name));
    let file = format!(
        "{}[proxy.routes.api]\nsocket = \"{}\"\n",
        profile(&server),
        own.display()
    );
    let argument = given.display().to_string();
    let proxy = Proxy::start_in(folder, &["api", "--socket", &argument], &file, |keyfob| {
        keyfob
    });
    assert_eq!(at(&given, "/x").status(), 200, "{}", proxy.stderr());
    assert!(!own.exists());
}

#[test]
fn an_address_in_the_options_that_no_route_would_use_is_a_usage_error() {
    let server = upstream();
    let folder = folder();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let file = format!(
        "{}[proxy.routes.api]\nsocket = \"{}\"\n[proxy.routes.b]\nprofile = \"api\"\nsocket = \"{}\"\n",
        profile(&server),
        path("a.sock"),
        path("b.sock"),
    );
    for option in ["--socket=/tmp/unused.sock", "--listen=127.0.0.1:0"] {
        for names in [&[][..], &["api", "b"]] {
            let arguments = [names, &[option]].concat();
            let done = keyfob(&folder, &arguments, &file).run();
            assert_eq!((done.code, &*done.stdout), (2, ""), "{done:?}");
            assert!(done.complaint().contains("no route would use"), "{done:?}");
        }
    }
}

#[test]
fn p3_a_listener_may_be_called_by_its_own_address() {
    let server = upstream();
    let arguments = ["--listen", "127.0.0.2:0", "--status-listen", "127.0.0.3:0"];
    let proxy = Proxy::start(&[&["api"], &arguments[..]].concat(), &profile(&server));
    let (address, status) = (proxy.address(), proxy.status_address());
    let secret = format!("Keyfob-Client-Secret: {}\r\n", proxy.secret());
    let ask = |address: &str, host: &str, path: &str| {
        ask_at(address, &get(path, &secret).replace("localhost", host)).status()
    };
    assert_eq!(ask(&address, &address, "/x"), 200);
    assert_eq!(ask(&status, &status, "/healthz"), 200);
    let other = address.replace("127.0.0.2", "127.0.0.4");
    assert_eq!(ask(&address, &other, "/x"), 421);
}

#[test]
fn p7_a_reload_closes_the_status_listener_that_the_file_no_longer_has() {
    let server = upstream();
    let file = profile(&server);
    let with_status = format!("{file}[proxy]\nstatus_listen = \"127.0.0.1:0\"\n");
    let proxy = Proxy::start(&["api"], &with_status);
    let status = proxy.status_address();
    assert_eq!(health(&status), 200);
    proxy.rewrite(&file);
    reload(&proxy, 1);
    wait_until("the port is closed", || TcpStream::connect(&status).err());
    proxy.rewrite(&with_status);
    reload(&proxy, 2);
    assert_eq!(proxy.over_socket(&get("/x", "")).status(), 200);
}

#[test]
fn p7_a_reload_keeps_the_status_socket_from_systemd() {
    let server = upstream();
    let folder = folder();
    let socket = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let status = socket.local_addr().expect("it has one").to_string();
    let own = folder.path().join("own.sock");
    let file = format!(
        "{}[proxy]\nsocket = \"{}\"\nstatus_listen = \"127.0.0.1:0\"\n",
        profile(&server),
        own.display()
    );
    let mut child = with_socket(folder.path(), "status", &file, "api", socket.into());
    assert_eq!(health(&status), 200);
    let said = || fs::read_to_string(folder.path().join("stderr")).unwrap_or_default();
    let pid = Pid::from_raw(child.id().cast_signed()).expect("a process");
    kill_process(pid, Signal::HUP).expect("it runs");
    wait_until("the file is read again", || {
        said().contains("was read again").then_some(())
    });
    let after = health(&status);
    _ = child.kill();
    _ = child.wait();
    assert_eq!(after, 200, "{}", said());
}

fn health(address: &str) -> u16 {
    ask_at(address, &get("/healthz", "").replace("localhost", address)).status()
}

/// A proxy with a socket of this name, as systemd passes it on. Its standard error goes to the file `stderr`.
fn with_socket(folder: &Path, name: &str, file: &str, route: &str, socket: OwnedFd) -> Child {
    let config = folder.join("keyfob.toml");
    fs::write(&config, file).expect("the folder is ours");
    let stderr = fs::File::create(folder.join("stderr")).expect("the folder is ours");
    let program = env!("CARGO_BIN_EXE_keyfob");
    let line = format!(
        "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name} exec {program} proxy {route} --config {}",
        config.display()
    );
    let child = Command::new("setsid")
        .args(["sh", "-c", &line])
        .env("TOKEN", "t0ken")
        .env("XDG_RUNTIME_DIR", folder)
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .expect("every Linux has it");
    wait_until("the proxy listens", || {
        let text = fs::read_to_string(folder.join("stderr")).unwrap_or_default();
        text.contains(" leads to ").then_some(())
    });
    child
}
