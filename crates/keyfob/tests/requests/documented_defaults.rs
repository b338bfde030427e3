//! The defaults that docs/ states are those of the library.

use std::fs;
use std::path::Path;
use std::time::Duration;

use keyfob::cache::TokenCacheBuilder;
use keyfob::{RetryPolicy, Session};

fn page(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join(path)).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn states(path: &str, facts: &[String]) {
    let page = page(path);
    for fact in facts {
        assert!(page.contains(fact), "{path} does not say {fact:?}");
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

fn milliseconds(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

#[test]
fn r8_the_pages_state_the_default_timeouts() {
    let (timeout, total) = (seconds(Session::TIMEOUT), seconds(RetryPolicy::TOTAL));
    states(
        "docs/reference/errors-and-retries.md",
        &[
            format!("An attempt fails when nothing moves for {timeout}"),
            format!("each attempt begins within {total}"),
        ],
    );
    states(
        "docs/reference/errors-and-retries.md",
        &[
            format!("An attempt fails when nothing moves for `timeout` ({timeout} unless set)"),
            format!("| `SessionBuilder::timeout` | {timeout} |"),
            format!("| `RetryPolicy::total` | {total} |"),
            format!(
                "| `TokenCacheBuilder::fetch_timeout` | {} |",
                seconds(TokenCacheBuilder::FETCH_TIMEOUT)
            ),
        ],
    );
    states(
        "docs/reference/contract.md",
        &[format!("`timeout` ({timeout} unless set)")],
    );
}

#[test]
fn r4_the_pages_state_what_is_retried() {
    let with_retry_after = [429, 503];
    let others: Vec<String> = RetryPolicy::STATUSES
        .iter()
        .filter(|status| !with_retry_after.contains(&status.as_u16()))
        .map(|status| status.as_u16().to_string())
        .collect();
    states(
        "docs/reference/errors-and-retries.md",
        &[
            format!(
                "| {}; 429 and 503 without `Retry-After` |",
                others.join(", ")
            ),
            format!("A request is sent at most {} times", RetryPolicy::ATTEMPTS),
        ],
    );
    states(
        "docs/reference/errors-and-retries.md",
        &[
            format!(
                "The first bound is {}",
                milliseconds(RetryPolicy::FIRST_PAUSE)
            ),
            format!(
                "The highest bound is {}",
                seconds(RetryPolicy::LONGEST_PAUSE)
            ),
        ],
    );
}
