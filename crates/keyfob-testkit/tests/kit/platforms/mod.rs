//! The fakes of platforms check what the platforms check.

mod azure;
mod clients;
mod github;
mod google;
mod kubernetes;
mod signed;
mod vault;

use keyfob_testkit::ManualClock;
use keyfob_testkit::platforms::FakeClock;
use serde_json::Value;

use crate::client::Seen;

/// The time of the clock in seconds since 1970.
fn now(clock: &ManualClock) -> i64 {
    FakeClock::from(clock).unix_seconds()
}

fn json_of(seen: &Seen) -> Value {
    serde_json::from_slice(seen.body()).unwrap()
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields).finish()
}
