//! One of many processes: it sends requests until it gets a line, or until it is killed.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use keyfob::Session;
use keyfob::oauth::{Client, RefreshToken};
use keyfob::source::Persisted;

use crate::setup::{GRACE, Instructions, key};

pub(crate) fn run() {
    let instructions: Instructions = serde_json::from_str(&next_line().unwrap()).unwrap();
    let is_last_request = Arc::new(AtomicBool::new(false));
    let is_last = Arc::clone(&is_last_request);
    thread::spawn(move || {
        while next_line().is_some() {
            is_last.store(true, Ordering::Relaxed);
        }
        // The process ends with the soak, which holds the other end of the pipe.
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .unwrap()
        .block_on(work(instructions, &is_last_request));
}

async fn work(instructions: Instructions, is_last_request: &AtomicBool) {
    let client = Client::builder("soak").token_endpoint(&instructions.token_url);
    let source = RefreshToken::new(client.build().unwrap(), "refresh-1").unwrap();
    let source = Persisted::new(source, instructions.location.store(), key()).issuer_grace(GRACE);
    let session = Session::new(&instructions.api_url, source).unwrap();
    loop {
        let is_last = is_last_request.load(Ordering::Relaxed);
        let response = request(&session).await;
        if let Err(failure) = &response {
            print_line(&format!("failed {failure}"));
        }
        match response {
            Ok(()) if is_last => break,
            Err(_) if is_last => return,
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(50..150))).await;
    }
    print_line(SERVED);
    // Renewals in the background continue.
    std::future::pending::<()>().await;
}

async fn request(session: &Session) -> Result<(), String> {
    match session.get("/").send().await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(response.status().to_string()),
        Err(error) => Err(format!("{error}: {:?}", std::error::Error::source(&error))),
    }
}

fn next_line() -> Option<String> {
    let mut line = String::new();
    let length = std::io::stdin().lock().read_line(&mut line).unwrap();
    (length > 0).then_some(line)
}

fn print_line(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// The last line of a process whose last request was served.
pub(crate) const SERVED: &str = "served";
