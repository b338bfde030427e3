//! A search for the token in all that a program behind the proxy can see, while it runs.

use std::fs;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::keyfob::{Keyfob, finish};
use crate::service::{MARKER, Service, python};

/// Keeps a session, and all that it received, for longer than two lives of a token.
const PROGRAM: &str = "\
import os, time, requests
kept = []
session = requests.Session()
for number in range(8):
    field = {'authorization': 'Bearer ' + os.environ.get('DEMO_TOKEN', '')}
    response = session.get(os.environ['URL'] + '/user', headers=field)
    kept.append((response.status_code, response.headers, response.text))
    open(os.environ['READY'], 'w').write(str(number))
    time.sleep(1)
";

#[test]
fn p8_the_token_is_nowhere_in_what_the_program_can_see() {
    let service = Service::start();
    let found = search(&service, service.proxied(&[], &program(&service)));
    assert!(service.issued() >= 2, "{}", service.issued());
    assert_eq!(found, [""; 0]);
}

#[test]
fn the_search_finds_a_token_in_the_environment() {
    let service = Service::start();
    let found = search(&service, service.run(&[], &program(&service)));
    for place in ["environ", "memory"] {
        assert!(
            found.iter().any(|found| found.contains(place)),
            "{place}: {found:?}"
        );
    }
}

fn program(service: &Service) -> [&'static str; 3] {
    service.folder.file("program.py", PROGRAM);
    let python: &str = python().display().to_string().leak();
    [python, "-c", PROGRAM]
}

/// Starts the program, and returns where the token is after some of its requests.
fn search(service: &Service, keyfob: Keyfob) -> Vec<String> {
    let ready = service.folder.path("ready");
    let ca = service.folder.path("ca.pem").display().to_string();
    let child = keyfob
        .env("URL", &service.url)
        .env("READY", &ready.display().to_string())
        // Without the proxy, the program needs it.
        .env("REQUESTS_CA_BUNDLE", &ca)
        .start();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !fs::read_to_string(&ready).is_ok_and(|number| number.as_str() >= "4") {
        assert!(Instant::now() < deadline, "the program makes no requests");
        sleep(Duration::from_millis(20));
    }
    let mut found = Vec::new();
    let pids = descendants(child.id());
    assert!(!pids.is_empty());
    for pid in pids {
        found.extend(search_process(pid));
        found.extend(search_core(service, pid));
    }
    let done = finish(child);
    assert_eq!(done.code, 0, "{done:?}");
    found
}

fn search_process(pid: u32) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |place: String, bytes: &[u8]| {
        if has_marker(bytes) {
            found.push(format!("{place} of {pid}"));
        }
    };
    let process = Path::new("/proc").join(pid.to_string());
    for name in ["environ", "cmdline"] {
        let bytes = fs::read(process.join(name)).expect("the process is ours");
        check(name.to_owned(), &bytes);
    }
    for entry in fs::read_dir(process.join("fd"))
        .expect("the process is ours")
        .flatten()
    {
        if fs::metadata(entry.path()).is_ok_and(|file| file.is_file()) {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            check(
                format!("open file {:?}", fs::read_link(entry.path())),
                &bytes,
            );
        }
    }
    // What keyfob wrote for the program.
    let environ = fs::read(process.join("environ")).expect("the process is ours");
    let environ = String::from_utf8_lossy(&environ).into_owned();
    let file = environ
        .split('\0')
        .find_map(|pair| pair.strip_prefix("SSL_CERT_FILE="));
    let folder = file.and_then(|file| fs::read_dir(Path::new(file).parent()?).ok());
    for entry in folder.into_iter().flatten().flatten() {
        check(
            format!("{:?}", entry.path()),
            &fs::read(entry.path()).unwrap_or_default(),
        );
    }
    let maps = fs::read_to_string(process.join("maps")).expect("the process is ours");
    let mut memory = File::open(process.join("mem")).expect("the process is ours");
    let mut seen = 0;
    for line in maps.lines() {
        let range = line.split(' ').next().expect("a range");
        let (start, end) = range.split_once('-').expect("a range");
        let [start, end] =
            [start, end].map(|text| u64::from_str_radix(text, 16).expect("a number"));
        let mut bytes = Vec::new();
        let length = end - start;
        if memory.seek(SeekFrom::Start(start)).is_ok() {
            _ = memory.by_ref().take(length).read_to_end(&mut bytes);
        }
        seen += bytes.len();
        check("memory".to_owned(), &bytes);
    }
    assert!(seen > 1_000_000, "the memory of {pid} could not be read");
    found
}

/// Searches a core dump, if there is a program that writes one.
fn search_core(service: &Service, pid: u32) -> Option<String> {
    let path = service.folder.path("core");
    let written = Command::new("gcore")
        .arg("-o")
        .arg(&path)
        .arg(pid.to_string())
        .output();
    written.ok().filter(|output| output.status.success())?;
    let core = fs::read(path.with_extension(pid.to_string())).expect("gcore wrote it");
    assert!(core.len() > 100_000);
    has_marker(&core).then(|| format!("core dump of {pid}"))
}

fn has_marker(bytes: &[u8]) -> bool {
    bytes.windows(MARKER.len()).any(|part| part == MARKER)
}

/// The processes below keyfob, but not the helper that keyfob starts for a moment to get a token.
fn descendants(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("this is Linux").flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent_of_it = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(1));
        let is_helper = stat.contains("(helper)") || stat.contains("(sh)");
        if parent_of_it == Some(&*parent.to_string()) && !is_helper {
            found.push(pid);
            found.extend(descendants(pid));
        }
    }
    found
}
