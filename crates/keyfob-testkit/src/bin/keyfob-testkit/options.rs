//! What can be set when the program starts.

use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use keyfob_testkit::ScriptedResponse;

use crate::scripted::response_named;

/// A token endpoint and an API that checks its tokens, on loopback, for tests in any language
///
/// Prints one line of JSON with the keys `token_url`, `api_url` and `control_url`, and runs until its standard input ends.
/// docs/how-to/testing.md lists the requests to the control URL.
#[derive(Parser)]
#[command(name = "keyfob-testkit", version)]
pub(crate) struct Options {
    /// How long tokens live; an hour by default
    #[arg(long, value_name = "SECONDS")]
    pub(crate) lifetime: Option<u64>,
    /// How long the token endpoint takes to respond, such as 0.3
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub(crate) issuing_takes: Duration,
    /// How the API responds to every Nth request: a status, or reset, close, garbage or hang
    #[arg(long, value_name = "N=RESPONSE")]
    pub(crate) every: Vec<Every>,
}

/// A rule for every nth request.
#[derive(Clone, Debug)]
pub(crate) struct Every {
    pub(crate) nth: NonZeroU64,
    pub(crate) response: ScriptedResponse,
}

impl FromStr for Every {
    type Err = String;

    fn from_str(rule: &str) -> Result<Self, String> {
        let (nth, response) = rule.split_once('=').ok_or("it has no `=`")?;
        let nth = nth.parse().map_err(|error| format!("`{nth}`: {error}"))?;
        let response = response_named(response)?;
        Ok(Self { nth, response })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_options_do_not_contradict_each_other() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_rule_has_a_number_and_a_response() {
        let every: Every = "50=503".parse().unwrap();
        assert_eq!(every.nth.get(), 50);
        assert_eq!(every.response.status_code(), Some(503));
        for broken in ["50", "0=503", "x=503", "50=", "50=99", "50=explode"] {
            assert!(broken.parse::<Every>().is_err(), "{broken}");
        }
    }
}
