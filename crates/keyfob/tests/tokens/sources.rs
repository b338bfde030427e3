//! The sources of the crate, behind a cache.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::SystemTime;

use keyfob::{Error, ErrorKind, Expiry, FileToken, FixedToken, Token, TokenCache, TokenSource};
use keyfob_testkit::ManualClock;
use tracing::Level;

use crate::captured_log::listening;
use crate::harness::{SECOND, Tasks, poll, ready, token};

struct Reader {
    clock: ManualClock,
    tasks: Tasks,
    cache: TokenCache,
}

impl Reader {
    fn new(source: impl TokenSource) -> Self {
        let (clock, tasks) = (ManualClock::default(), Tasks::default());
        let cache = TokenCache::builder(source)
            .clock(clock.clone())
            .runtime(tasks.clone())
            .build()
            .unwrap();
        Self {
            clock,
            tasks,
            cache,
        }
    }

    fn read(&self) -> Result<String, Error> {
        let mut caller = Box::pin(self.cache.get_valid_token());
        let response = match poll(&mut caller) {
            std::task::Poll::Ready(response) => response,
            std::task::Poll::Pending => {
                self.tasks.run();
                ready(poll(&mut caller))
            }
        };
        self.tasks.run();
        Ok(response?.expose().to_owned())
    }
}

/// A file that is removed at the end of the test.
struct TestFile(PathBuf);

impl TestFile {
    fn new(name: &str) -> Self {
        let name = format!("keyfob-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn replace(&self, text: &str) {
        let new = self.0.with_extension("new");
        fs::write(&new, text).unwrap();
        self.permit(&new, 0o600);
        fs::rename(new, &self.0).unwrap();
    }

    #[cfg(unix)]
    fn permit(&self, path: &std::path::Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt;

        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[cfg(not(unix))]
    fn permit(&self, _: &std::path::Path, _: u32) {}
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_fixed_token_is_returned_every_time() {
    let reader = Reader::new(FixedToken::new(Token::new("fixed").unwrap()));
    assert_eq!(reader.read().unwrap(), "fixed");
    reader.clock.advance(SECOND * 1_000_000);
    assert_eq!(reader.read().unwrap(), "fixed");
    assert_eq!(reader.cache.status().renewals, 1);
}

#[test]
fn a_hook_returns_its_token_or_its_error() {
    let responses = Mutex::new(vec![
        Ok(("t0ken", SECOND * 100)),
        Err(std::io::Error::other("vault is sealed")),
    ]);
    let reader = Reader::new(keyfob::hook(move |_| {
        let response = responses.lock().unwrap().pop().unwrap();
        async { response }
    }));
    let error = reader.read().unwrap_err();
    assert_eq!(error.to_string(), "the token hook failed");
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "vault is sealed");
    reader.clock.advance(SECOND);
    assert_eq!(reader.read().unwrap(), "t0ken");
}

#[test]
fn t7_a_panic_of_a_blocking_hook_is_the_error_of_that_attempt() {
    let cache = TokenCache::new(keyfob::hook_blocking(|request| {
        assert!(request.previous().is_some(), "the hook panics");
        token("never", 100)
    }));
    let error = cache.get_valid_token_blocking().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn a_missing_or_empty_file_is_an_error_that_says_so() {
    let file = TestFile::new("missing");
    let reader = Reader::new(FileToken::new(&file.0));
    let error = reader.read().unwrap_err();
    assert!(error.to_string().ends_with("does not exist"), "{error}");
    file.replace(" \n");
    reader.clock.advance(SECOND);
    let error = reader.read().unwrap_err();
    assert!(error.to_string().contains("is empty"), "{error}");
    file.replace("  one\n");
    reader.clock.advance(SECOND * 2);
    assert_eq!(reader.read().unwrap(), "one");
}

#[test]
fn a_replaced_file_is_found_by_the_regular_check() {
    let file = TestFile::new("recheck");
    file.replace("one");
    let reader = Reader::new(FileToken::new(&file.0));
    assert_eq!(reader.read().unwrap(), "one");
    file.replace("two");
    reader.clock.advance(SECOND * 9);
    assert_eq!(reader.read().unwrap(), "one");
    reader.clock.advance(SECOND);
    assert_eq!(
        reader.read().unwrap(),
        "one",
        "served while the file is read"
    );
    assert_eq!(reader.read().unwrap(), "two");
}

#[test]
fn a_file_that_is_emptied_keeps_its_token_in_use() {
    let file = TestFile::new("emptied");
    file.replace("one");
    let reader = Reader::new(FileToken::new(&file.0));
    assert_eq!(reader.read().unwrap(), "one");
    file.replace("");
    for _ in 0..10 {
        reader.clock.advance(SECOND * 10);
        assert_eq!(reader.read().unwrap(), "one");
    }
    assert!(reader.cache.status().failures > 0);
    file.replace("two");
    reader.clock.advance(SECOND * 70);
    assert_eq!(reader.read().unwrap(), "one");
    assert_eq!(reader.read().unwrap(), "two");
}

#[test]
fn a_replaced_file_is_read_at_once_after_a_rejection() {
    let file = TestFile::new("rejected");
    file.replace("one");
    let reader = Reader::new(FileToken::new(&file.0));
    reader.read().unwrap();
    let one = reader.cache.ready().unwrap();
    file.replace("two");
    reader.cache.reject(&one, &Default::default());
    reader.tasks.run();
    assert_eq!(reader.read().unwrap(), "two");
}

#[test]
fn a_file_that_is_too_large_or_not_text_is_refused_and_not_quoted() {
    let file = TestFile::new("large");
    let reader = Reader::new(FileToken::new(&file.0));
    file.replace(&"s3cr3t".repeat(200_000));
    let error = reader.read().unwrap_err();
    assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
    assert!(!format!("{error:?}").contains("s3cr3t"));
    fs::write(&file.0, b"s3cr3t\xff").unwrap();
    reader.clock.advance(SECOND);
    let error = reader.read().unwrap_err();
    assert!(error.to_string().contains("not text"), "{error}");
    assert!(!format!("{error:?}").contains("s3cr3t"));
}

#[cfg(unix)]
#[test]
fn s2_a_file_that_every_user_can_read_is_reported_once() {
    let file = TestFile::new("world-readable");
    file.replace("one");
    let reader = Reader::new(FileToken::new(&file.0));
    let warnings = Rc::new(Cell::new(0));
    let counted = Rc::clone(&warnings);
    let levels = move |level| counted.set(counted.get() + u32::from(level == Level::WARN));
    listening(levels, || {
        reader.read().unwrap();
        assert_eq!(warnings.get(), 0);
        file.permit(&file.0, 0o644);
        for _ in 0..3 {
            reader.clock.advance(SECOND * 10);
            reader.read().unwrap();
        }
    });
    assert_eq!(warnings.get(), 1);
}

#[test]
fn t5_json_in_a_file_is_read_like_the_output_of_a_command() {
    let file = TestFile::new("json");
    let reader = Reader::new(FileToken::new(&file.0));
    file.replace("\u{feff}{\"access_token\":\"one\",\"expires_at\":\"2099-01-01T00:00:00Z\"}\r\n");
    assert_eq!(reader.read().unwrap(), "one");
    assert!(matches!(
        reader.cache.ready().unwrap().token().expires(),
        Expiry::At(_)
    ));
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the time of a file is that of the system"
)]
fn t4_a_lifetime_in_a_file_counts_from_when_it_was_written() {
    let file = TestFile::new("lifetime");
    file.replace("{\"access_token\":\"one\",\"expires_in\":3600}");
    let written = SystemTime::now() - SECOND * 1800;
    let opened = fs::File::options().write(true).open(&file.0).unwrap();
    opened.set_modified(written).unwrap();
    let cache = TokenCache::new(FileToken::new(&file.0));
    cache.get_valid_token_blocking().unwrap();
    let left = cache.status().expires_in.unwrap();
    assert!(left < SECOND * 1801, "{left:?}");
}

#[test]
fn an_error_about_the_text_of_a_file_names_the_file_and_the_reason() {
    let file = TestFile::new("wrong");
    let reader = Reader::new(FileToken::new(&file.0));
    for (text, reason) in [
        ("null\n", "missing value"),
        ("Bearer s3cr3t", "white space"),
        ("s3cr3t\ns3cr3t", "several lines"),
        ("{\"token\":\"\"}", "empty"),
        (
            "{\"token\":\"s3cr3t\",\"expires_at\":\"soon\"}",
            "`expires_at`",
        ),
        ("{\"note\":\"s3cr3t\"}", "`note`"),
    ] {
        file.replace(text);
        reader.clock.advance(SECOND * 600);
        let error = reader.read().unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(file.0.to_str().unwrap()), "{shown}");
        assert!(
            shown.contains(reason) && !shown.contains("s3cr3t"),
            "{shown}"
        );
    }
}
