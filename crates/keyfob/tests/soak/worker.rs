//! One of many processes: it sends requests until its standard input ends, or until it is killed.

use std::io::BufRead;
use std::io::Read;
use std::io::Write;
use std::thread;
use std::time::Duration;

use keyfob::Persisted;
use keyfob::Session;
use keyfob::oauth::Client;
use keyfob::oauth::RefreshToken;

use crate::shared::Errand;
use crate::shared::GRACE;
use crate::shared::key;

pub(crate) fn run() {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    let errand: Errand = serde_json::from_str(&line).unwrap();
    // It never outlives the soak, which holds the other end.
    thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work(errand));
}

async fn work(errand: Errand) {
    let client = Client::builder("soak").token_endpoint(&errand.token_url);
    let source = RefreshToken::new(client.build().unwrap(), "refresh-1").unwrap();
    let source = Persisted::new(source, errand.place.store(), key()).issuer_grace(GRACE);
    let session = Session::new(&errand.api_url, source).unwrap();
    loop {
        let failure = match session.get("/").send().await {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(answer.status().to_string()),
            Err(error) => Some(format!("{error}: {:?}", std::error::Error::source(&error))),
        };
        if let Some(failure) = failure {
            let mut out = std::io::stdout().lock();
            writeln!(out, "failed {failure}").unwrap();
            out.flush().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(50..150))).await;
    }
}
