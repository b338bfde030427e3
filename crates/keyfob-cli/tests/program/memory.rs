//! Bodies are streamed, so the memory of the program does not grow with their size.

use std::fs::{File, read_to_string};
use std::io::Read;
use std::process::Child;

use keyfob_testkit::{Expect, Gate, ScriptedResponse, Server};

use crate::keyfob::{Folder, Keyfob, finish};
use crate::waiting::{TIMEOUT, wait_until};

#[test]
fn a_download_of_512_mb_stays_below_64_mb() {
    assert_stays_small("download", downloaded(512 << 20));
}

#[test]
fn an_upload_of_512_mb_stays_below_64_mb() {
    assert_stays_small("upload", uploaded(512 << 20));
}

#[test]
#[ignore = "takes a while: run it by name when streaming changes"]
fn transfers_of_2_gb_stay_below_64_mb() {
    assert_stays_small("download", downloaded(2 << 30));
    assert_stays_small("upload", uploaded(2 << 30));
}

/// The peak in KiB, once all but the last 4 MiB have been read from standard output.
fn downloaded(bytes: u64) -> u64 {
    let server = Server::start();
    server.expect(
        Expect::get("/big")
            .bearer("t0ken")
            .respond(ScriptedResponse::stream(bytes)),
    );
    let mut child = Keyfob::request([server.url_for("/big")]).start();
    let mut stdout = child.stdout.take().expect("a pipe");
    // The program is still running then, because the rest does not fit into the pipe.
    let most = bytes - (4 << 20);
    assert_eq!(skip(&mut stdout, most), most);
    let peak = peak(&child);
    assert_eq!(skip(&mut stdout, u64::MAX), 4 << 20);
    let done = finish(child);
    assert_eq!((done.code, &*done.stderr), (0, ""));
    peak
}

/// The peak in KiB, once the whole file has been sent and before the response.
fn uploaded(bytes: u64) -> u64 {
    let folder = Folder::new();
    let path = folder.path("big");
    let file = File::create(&path).expect("the folder of the test can be written");
    file.set_len(bytes).expect("a file with a hole");
    let server = Server::start();
    let gate = Gate::new();
    server.expect(
        Expect::put("/big")
            .bearer("t0ken")
            .respond(ScriptedResponse::text("taken").when(&gate)),
    );
    let url = server.url_for("/big");
    let child = Keyfob::request(["-T", path.to_str().expect("a plain path"), &url]).start();
    server.wait_for_calls(1, TIMEOUT * 10);
    let peak = peak(&child);
    gate.open();
    let done = finish(child);
    assert_eq!((done.code, &*done.stdout), (0, "taken"), "{done:?}");
    let received = &server.received()[0];
    assert_eq!(received.body_length, bytes);
    assert_eq!(received.header("content-length"), Some(&*bytes.to_string()));
    peak
}

fn skip(from: &mut impl Read, bytes: u64) -> u64 {
    std::io::copy(&mut from.take(bytes), &mut std::io::sink()).expect("the pipe can be read")
}

/// The most memory that a running process has used, in KiB.
fn peak(child: &Child) -> u64 {
    let path = format!("/proc/{}/status", child.id());
    wait_until("the kernel reports its memory", || {
        let status = read_to_string(&path).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    })
}

fn assert_stays_small(what: &str, peak: u64) {
    println!("{what}: at most {peak} KiB");
    assert!(peak < 64 << 10, "the {what} used {peak} KiB");
}
