//! The scripted servers of one case.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use keyfob_conformance::case::{Case, Fault, Listens, Response};
use keyfob_conformance::judge::Arrived;
use keyfob_testkit::{Expect, ScriptedResponse, Server};
use tokio::net::TcpSocket;

use crate::tls::{Tls, TlsFront};

/// The servers of one case, by name. Dropping them ends them.
pub(crate) struct CaseServers(BTreeMap<String, CaseServer>);

struct CaseServer {
    origin: String,
    port: u16,
    kind: Kind,
}

enum Kind {
    Plain(Server),
    /// Its number is taken for IPv4 as well: a client that tries both addresses of `localhost` must not reach it by mistake.
    Ipv6 {
        server: Server,
        #[expect(dead_code, reason = "it holds the port")]
        number: TcpSocket,
    },
    Tls {
        server: Server,
        #[expect(dead_code, reason = "it ends when it is dropped")]
        front: TlsFront,
    },
    /// Bound and not listening, so that no other server gets the port.
    Refused(#[expect(dead_code, reason = "it holds the port")] TcpSocket),
}

impl CaseServers {
    pub(crate) fn start(case: &Case, tls: &Tls) -> Result<Self, String> {
        let servers = case.servers.iter().map(|(name, script)| {
            let server = CaseServer::start(script.listens, tls)
                .map_err(|error| format!("the server {name} cannot be started: {error}"))?;
            Ok((name.clone(), server))
        });
        servers.collect::<Result<_, String>>().map(Self)
    }

    /// The origin and the port of each server.
    pub(crate) fn origins(&self) -> BTreeMap<String, (String, u16)> {
        let servers = self.0.iter();
        servers
            .map(|(name, server)| (name.clone(), (server.origin.clone(), server.port)))
            .collect()
    }

    /// Gives the servers their responses.
    pub(crate) fn script(&self, case: &Case) {
        for (name, script) in &case.servers {
            let Some(server) = self.0.get(name).and_then(CaseServer::scripted) else {
                continue;
            };
            for response in &script.responses {
                server.expect(Expect::any().respond(scripted(response)));
            }
            if let Some(response) = &script.then {
                server.expect(Expect::any().always(scripted(response)));
            }
        }
    }

    pub(crate) fn received(&self) -> Arrived {
        let servers = self.0.iter();
        servers
            .map(|(name, server)| {
                let received = server.scripted().map(Server::received);
                (name.clone(), received.unwrap_or_default())
            })
            .collect()
    }
}

impl Drop for CaseServers {
    fn drop(&mut self) {
        // The judge reports missing requests, not the server.
        for server in self.0.values().filter_map(CaseServer::scripted) {
            let _ = server.report();
        }
    }
}

impl CaseServer {
    fn start(listens: Listens, tls: &Tls) -> std::io::Result<Self> {
        let (origin, port, kind) = match listens {
            Listens::Plain => plain(Server::start()),
            Listens::Ipv6 => {
                let (server, number) = on_ipv6();
                let (origin, port) = (server.url(), server.address().port());
                (origin, port, Kind::Ipv6 { server, number })
            }
            Listens::Tls => {
                let server = Server::start();
                let front = tls.front_of(server.address())?;
                let origin = format!("https://{}", front.address());
                (origin, front.address().port(), Kind::Tls { server, front })
            }
            Listens::Refused => {
                let socket = bound(0)?;
                let address = socket.local_addr()?;
                let origin = format!("http://{address}");
                (origin, address.port(), Kind::Refused(socket))
            }
        };
        Ok(Self { origin, port, kind })
    }

    fn scripted(&self) -> Option<&Server> {
        match &self.kind {
            Kind::Plain(server) | Kind::Ipv6 { server, .. } | Kind::Tls { server, .. } => {
                Some(server)
            }
            Kind::Refused(_) => None,
        }
    }
}

/// A server on a port that no server on 127.0.0.1 has, and the socket that keeps it so.
fn on_ipv6() -> (Server, TcpSocket) {
    loop {
        let server = Server::builder().ipv6().start();
        if let Ok(socket) = bound(server.address().port()) {
            return (server, socket);
        }
    }
}

/// A socket on 127.0.0.1 that is bound and not listening.
fn bound(port: u16) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    Ok(socket)
}

fn plain(server: Server) -> (String, u16, Kind) {
    (server.url(), server.address().port(), Kind::Plain(server))
}

fn scripted(response: &Response) -> ScriptedResponse {
    let with_head = || with_head(response);
    match response.fault {
        None => with_head(),
        Some(Fault::Reset) => ScriptedResponse::reset(),
        Some(Fault::Close) => ScriptedResponse::close(),
        Some(Fault::Garbage) => ScriptedResponse::garbage(),
        Some(Fault::ResetInUpload) => ScriptedResponse::reset_in_upload(),
        Some(Fault::StallBeforeHead) => ScriptedResponse::hang(),
        Some(Fault::StallInHead) => ScriptedResponse::raw_then_hang(HALF_A_HEAD),
        Some(Fault::StallInBody) => with_head().slow_body(1, ENDLESS),
        Some(Fault::CutHead) => ScriptedResponse::raw(HALF_A_HEAD),
        Some(Fault::CutBody) => with_head().cut_body_after(half_a_body(response)),
        Some(Fault::ResetBody) => with_head().reset_body_after(half_a_body(response)),
        Some(Fault::SlowBody) => with_head().slow_body(1, PAUSE),
    }
}

fn with_head(response: &Response) -> ScriptedResponse {
    let head = ScriptedResponse::status(response.status);
    let head = response
        .headers
        .iter()
        .fold(head, |head, (name, value)| head.header(name, value));
    match response.gzip {
        true => head
            .header("content-encoding", "gzip")
            .body(gzip(response.body.as_bytes())),
        false => head.body(response.body.clone()),
    }
}

fn half_a_body(response: &Response) -> u64 {
    let body = response.body.as_bytes();
    let length = if response.gzip {
        gzip(body).len()
    } else {
        body.len()
    };
    length as u64 / 2
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("memory can be written to")
}

const HALF_A_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-le";

const ENDLESS: Duration = Duration::from_secs(3600);

const PAUSE: Duration = Duration::from_millis(200);
