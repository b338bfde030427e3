//! A session that is used through several lives of its token.

use std::thread::sleep;
use std::time::Duration;

use keyfob::{ErrorKind, Profile, Profiles, TokenCache, blocking};
use keyfob_testkit::{Expect, Issuer, ManualClock, Received, ScriptedResponse, Server};

/// An API that accepts the tokens for which this is true.
pub(crate) fn api(accepts: impl Fn(&str) -> bool + Send + Sync + 'static) -> Server {
    let server = Server::builder().request_limit(16).start();
    server.expect(Expect::any().respond_with(move |received: &Received| {
        match received.bearer().is_some_and(&accepts) {
            true => ScriptedResponse::text("ok"),
            false => ScriptedResponse::unauthorized("Bearer error=\"invalid_token\""),
        }
    }));
    server
}

/// An API that accepts the valid tokens of this issuer.
pub(crate) fn api_of(issuer: &Issuer) -> Server {
    let issuer = issuer.clone();
    api(move |token| issuer.is_valid(token))
}

/// A clock that shows the time of the system now, and then stands still.
#[expect(
    clippy::disallowed_methods,
    reason = "`Profile::check` uses the system's clock"
)]
pub(crate) fn clock() -> ManualClock {
    ManualClock::new(std::time::SystemTime::now())
}

/// The profile with this name in a file with this text. Its tokens are in memory: the tests leave the home directory alone.
pub(crate) fn profile(text: &str, name: &str) -> Profile {
    let lines = text.lines().map(|line| {
        let is_profile = line.starts_with("[profiles.") && line.matches('.').count() == 1;
        match is_profile {
            true => format!("{line}\nstore = \"memory\"\n"),
            false => format!("{line}\n"),
        }
    });
    let text: String = lines.collect();
    let profiles = Profiles::from_text(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    profiles.get(name).expect("it is in the file").clone()
}

/// Each finding of the check as a line.
pub(crate) async fn check(profile: &Profile) -> Result<Vec<String>, String> {
    let findings = profile.check().await;
    let lines = findings.iter().map(|finding| match finding.outcome() {
        Ok(found) => Ok(format!("{}: {found}", finding.what())),
        Err(error) => Err(format!("{}: {error}", finding.what())),
    });
    lines.collect()
}

/// Sends 1,000 requests in four lives of the token, each of which is renewed before it ends.
pub(crate) fn serve_1000_requests_in_4_lives(
    profile: &Profile,
    clock: &ManualClock,
    lifetime: Duration,
) {
    serve_and_prepare(profile, clock, lifetime, || {});
}

/// The same. `prepare` is called before each renewal, for what the platform does on its own in that time.
pub(crate) fn serve_and_prepare(
    profile: &Profile,
    clock: &ManualClock,
    lifetime: Duration,
    prepare: impl Fn(),
) {
    let tokens =
        TokenCache::builder(profile.source().expect("the settings are good")).clock(clock.clone());
    let tokens = match profile.default_lifetime() {
        Some(lifetime) => tokens.default_lifetime(lifetime),
        None => tokens,
    };
    let tokens = tokens.build().expect("the settings are good");
    let base = profile.base_url().expect("each example has one").clone();
    let session = blocking::Session::builder(tokens.clone())
        .base_url(base)
        .build()
        .expect("the API is on this machine");
    let request = || {
        // Snowflake refuses a request without it.
        let request = session.get("things").header("user-agent", "test");
        let response = request.send().expect("there is a token");
        assert_eq!(response.status(), 200);
    };
    for life in 1..=4 {
        for _ in 0..250 {
            request();
        }
        assert_eq!(tokens.status().renewals, life);
        // The renewal of an inner token runs on in the background. The clock must not go beyond its timeout.
        wait_for(|| clock.sleepers() == 0);
        if life == 4 {
            break;
        }
        // Between a quarter and a third of the lifetime before the end, the token is due.
        clock.advance(lifetime * 4 / 5);
        prepare();
        request();
        wait_for(|| tokens.status().renewals == life + 1);
    }
}

pub(crate) fn wait_for(happened: impl Fn() -> bool) {
    for _ in 0..2000 {
        if happened() {
            return;
        }
        sleep(Duration::from_millis(5));
    }
    panic!("it did not happen within 10 s");
}

/// The error of a profile that gets no token, with all its causes. It must not hold any of these secrets.
pub(crate) fn error_of(
    profile: &Profile,
    clock: &ManualClock,
    secrets: &[&str],
) -> (ErrorKind, String) {
    let tokens = TokenCache::builder(profile.source().expect("it is made without a request"))
        .clock(clock.clone())
        .build()
        .expect("the settings are good");
    let error = tokens
        .get_valid_token_blocking()
        .expect_err("the platform refuses");
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    for secret in secrets {
        assert!(!text.contains(secret), "{text}");
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
    (error.kind(), text)
}

/// Checks that an error has this kind, and says each of these things.
pub(crate) fn assert_error(found: &(ErrorKind, String), kind: ErrorKind, says: &[&str]) {
    assert_eq!(found.0, kind, "{}", found.1);
    for part in says {
        assert!(found.1.contains(part), "{part:?} is not in: {}", found.1);
    }
}
