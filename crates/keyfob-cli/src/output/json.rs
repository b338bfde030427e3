//! Output for programs: `--json` of the commands that list or check something.

use std::time::{Duration, SystemTime};

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::output::error::CliError;
use crate::output::print::print_stdout;

/// The option with which a command prints JSON.
#[derive(Args)]
pub(crate) struct JsonOption {
    /// Print JSON, for programs; the fields are documented and stay
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints the value as one document, indented.
pub(crate) fn print_json(value: &Value) -> Result<(), CliError> {
    print_stdout(format!("{value:#}\n"))
}

/// A time in UTC (RFC 3339) in whole seconds; null if it is not known, or too far away to be written.
pub(crate) fn utc(time: Option<SystemTime>) -> Value {
    let seconds = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let seconds = seconds.and_then(|since| i64::try_from(since.as_secs()).ok());
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or(Value::Null, |time| json!(time.to_string()))
}

/// The seconds from one time to another, negative if the second is earlier; null if either is not known.
pub(crate) fn seconds_between(from: Option<SystemTime>, to: Option<SystemTime>) -> Value {
    let (Some(from), Some(to)) = (from, to) else {
        return Value::Null;
    };
    let whole = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let seconds = match to.duration_since(from) {
        Ok(later) => whole(later),
        Err(earlier) => -whole(earlier.duration()),
    };
    json!(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc_and_seconds_have_a_sign() {
        let at = |seconds: u64| {
            Some(SystemTime::UNIX_EPOCH + Duration::from_millis(seconds * 1_000 + 9))
        };
        assert_eq!(utc(at(1_767_323_044)), "2026-01-02T03:04:04Z");
        assert_eq!(utc(None), Value::Null);
        assert_eq!(seconds_between(at(10), at(15)), 5);
        assert_eq!(seconds_between(at(15), at(10)), -5);
        assert_eq!(seconds_between(None, at(10)), Value::Null);
    }
}
