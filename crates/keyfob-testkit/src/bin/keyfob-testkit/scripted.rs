//! A response as another program describes it: in JSON, or in one word of the command line.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;
use http::{HeaderName, HeaderValue};
use keyfob_testkit::{Gate, ScriptedResponse, TokenResponse};
use serde::Deserialize;
use serde_json::Value;

/// A response as another program describes it in JSON, for some of the next requests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scripted {
    status: Option<u16>,
    fault: Option<Fault>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Body>,
    /// Truncates the body after this many bytes.
    cut_body_after: Option<u64>,
    /// Waits this many seconds first.
    #[serde(default)]
    after: f64,
    /// Waits for the gate first.
    #[serde(default)]
    held: bool,
    #[serde(default = "once")]
    times: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Body {
    Text(String),
    Json(Value),
    /// This many zero bytes.
    Zeros(u64),
}

#[derive(Clone, Copy, Debug, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    Reset,
    Close,
    Garbage,
    Hang,
}

impl Scripted {
    /// The responses of an API.
    pub(crate) fn for_api(&self, gate: &Gate) -> Result<Vec<ScriptedResponse>, String> {
        let response = self
            .response()?
            .ok_or("it has no `status` and no `fault`")?;
        let response = response.after(self.delay()?);
        let response = if self.held {
            response.when(gate)
        } else {
            response
        };
        Ok(vec![response; self.times])
    }

    /// The responses of a token endpoint: tokens, if there is neither a status nor a fault.
    pub(crate) fn for_token_endpoint(&self, gate: &Gate) -> Result<Vec<TokenResponse>, String> {
        let response = self.response()?;
        let response = response.map_or_else(TokenResponse::token, TokenResponse::other);
        let response = response.after(self.delay()?);
        let response = if self.held {
            response.when(gate)
        } else {
            response
        };
        Ok(vec![response; self.times])
    }

    fn response(&self) -> Result<Option<ScriptedResponse>, String> {
        match (self.status, self.fault) {
            (Some(_), Some(_)) => Err("it has both a `status` and a `fault`".to_owned()),
            (Some(status), None) => self.with_status(status).map(Some),
            (None, _) if self.has_content() => Err("it has no `status`".to_owned()),
            (None, fault) => Ok(fault.map(Fault::response)),
        }
    }

    fn has_content(&self) -> bool {
        self.body.is_some() || self.cut_body_after.is_some() || !self.headers.is_empty()
    }

    fn with_status(&self, status: u16) -> Result<ScriptedResponse, String> {
        let response = match &self.body {
            None => ScriptedResponse::status(200),
            Some(Body::Text(text)) => ScriptedResponse::text(text),
            Some(Body::Json(value)) => ScriptedResponse::json(value.clone()),
            Some(Body::Zeros(length)) => ScriptedResponse::stream(*length),
        };
        let mut response = response.with_status(final_status(status)?);
        for (name, value) in &self.headers {
            HeaderName::try_from(name).map_err(|error| format!("`{name}`: {error}"))?;
            HeaderValue::try_from(value).map_err(|error| format!("`{name}`: {error}"))?;
            response = response.header(name, value);
        }
        Ok(match self.cut_body_after {
            Some(length) => response.cut_body_after(length),
            None => response,
        })
    }

    fn delay(&self) -> Result<Duration, String> {
        Duration::try_from_secs_f64(self.after).map_err(|error| format!("`after`: {error}"))
    }
}

impl Fault {
    fn response(self) -> ScriptedResponse {
        match self {
            Self::Reset => ScriptedResponse::reset(),
            Self::Close => ScriptedResponse::close(),
            Self::Garbage => ScriptedResponse::garbage(),
            Self::Hang => ScriptedResponse::hang(),
        }
    }
}

/// The response that one word names: a status, or a fault.
pub(crate) fn response_named(word: &str) -> Result<ScriptedResponse, String> {
    match word.parse() {
        Ok(status) => final_status(status).map(ScriptedResponse::status),
        Err(_) => Fault::from_str(word, false)
            .map(Fault::response)
            .map_err(|_| format!("`{word}` is neither a status nor a fault")),
    }
}

fn final_status(status: u16) -> Result<u16, String> {
    if (200..=999).contains(&status) {
        Ok(status)
    } else {
        Err(format!("{status} is not a status from 200 to 999"))
    }
}

fn once() -> usize {
    1
}

#[cfg(test)]
mod tests {
    use keyfob_testkit::json;

    use super::*;

    fn for_api(description: Value) -> Result<Vec<ScriptedResponse>, String> {
        let scripted: Scripted =
            serde_json::from_value(description).map_err(|error| error.to_string())?;
        scripted.for_api(&Gate::new())
    }

    #[test]
    fn a_response_is_for_the_given_number_of_requests() {
        let statuses = |description| {
            let responses = for_api(description).unwrap().into_iter();
            responses
                .map(|response| response.status_code())
                .collect::<Vec<_>>()
        };
        assert_eq!(statuses(json!({"status": 204})), [Some(204)]);
        assert_eq!(statuses(json!({"fault": "hang", "times": 2})), [None, None]);
        let body = json!({"status": 418, "body": {"json": [1]}, "headers": {"x-tea": "yes"}});
        assert_eq!(statuses(body), [Some(418)]);
    }

    #[test]
    fn an_invalid_description_is_an_error_and_no_panic() {
        for description in [
            json!({}),
            json!({"status": 99}),
            json!({"status": 103}),
            json!({"status": 200, "fault": "reset"}),
            json!({"fault": "reset", "headers": {"etag": "x"}}),
            json!({"fault": "explode"}),
            json!({"status": 200, "after": -1.0}),
            json!({"status": 200, "headers": {"no name": "x"}}),
            json!({"status": 200, "headers": {"x": "no\nvalue"}}),
            json!({"status": 200, "body": {"text": "a", "json": 1}}),
            json!({"status": 200, "hold": true}),
        ] {
            assert!(for_api(description.clone()).is_err(), "{description}");
        }
    }

    #[test]
    fn a_token_endpoint_issues_tokens_by_default() {
        let scripted: Scripted = serde_json::from_value(json!({"held": true})).unwrap();
        assert_eq!(scripted.for_token_endpoint(&Gate::new()).unwrap().len(), 1);
    }

    #[test]
    fn a_word_names_a_status_or_a_fault() {
        assert_eq!(response_named("503").unwrap().status_code(), Some(503));
        assert_eq!(response_named("reset").unwrap().status_code(), None);
        for word in ["", "99", "explode"] {
            assert!(response_named(word).is_err(), "{word}");
        }
    }
}
