use super::*;
use crate::store::entry::Failure;

const SECOND: Duration = Duration::from_secs(1);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + SECOND * 1_000_000
}

/// A token with a lifetime of 100 s that was obtained `age` seconds ago.
fn token(text: &str, age: u32) -> Token {
    Token::new(text)
        .unwrap()
        .obtained_at(now() - SECOND * age)
        .expires_at(now() + SECOND * 100 - SECOND * age)
        .with_refresh_token(format!("refresh-of-{text}"))
        .unwrap()
}

fn entry(token: Token) -> Entry {
    Entry::new(token, now())
}

fn with_pending_exchange(age: u32, attempts: u32) -> Entry {
    let mut entry = entry(token("old", 200));
    entry.pending = Some(PendingExchange {
        fingerprint: fingerprint_of(entry.token()),
        started: now() - SECOND * age,
        process: "process 7".to_owned(),
        attempts,
    });
    entry
}

fn question(reason: Reason, previous: Option<&Token>) -> Question<'_> {
    Question {
        reason,
        previous,
        default_lifetime: None,
        now: now(),
        consumes_refresh_token: true,
        issuer_grace: SECOND * 30,
        advice: "sign in again",
    }
}

fn summary(verdict: Verdict) -> String {
    match verdict {
        Verdict::Adopt(token) => format!("adopt {}", token.expose()),
        Verdict::Fetch { attempt } => format!("exchange {attempt}"),
        Verdict::Refuse(error) => format!("refuse {}", error.kind()),
    }
}

#[test]
fn t1_a_stored_token_is_adopted_as_long_as_its_age_allows() {
    for (reason, age, expected) in [
        (Reason::Missing, 0, "adopt new"),
        (Reason::Missing, 80, "adopt new"),
        (Reason::Missing, 91, "exchange 1"),
        (Reason::Due, 10, "adopt new"),
        (Reason::Due, 80, "exchange 1"),
        (Reason::Rejected, 80, "adopt new"),
        (Reason::Rejected, 100, "exchange 1"),
        (Reason::Forced, 10, "adopt new"),
    ] {
        let previous = token("old", 80);
        let verdict = question(reason, Some(&previous)).decide(Some(&entry(token("new", age))));
        assert_eq!(summary(verdict), expected, "{reason:?} at {age} s");
    }
}

#[test]
fn t1_a_token_that_another_process_has_extended_is_adopted() {
    for (reason, age, expected) in [
        (Reason::Due, 10, "adopt same"),
        // Its own, with times that were moved to this clock.
        (Reason::Due, 70, "exchange 1"),
        (Reason::Due, 80, "exchange 1"),
        (Reason::Rejected, 10, "exchange 1"),
        (Reason::Forced, 10, "exchange 1"),
    ] {
        let previous = token("same", 72);
        let verdict = question(reason, Some(&previous)).decide(Some(&entry(token("same", age))));
        assert_eq!(summary(verdict), expected, "{reason:?} at {age} s");
    }
}

#[test]
fn t8_a_token_that_was_rejected_or_is_due_is_not_adopted() {
    let same = token("same", 10);
    for reason in [Reason::Rejected, Reason::Forced, Reason::Due] {
        let verdict = question(reason, Some(&same)).decide(Some(&entry(same.clone())));
        assert_eq!(summary(verdict), "exchange 1", "{reason:?}");
    }
    let verdict = question(Reason::Forced, None).decide(Some(&entry(same)));
    assert_eq!(
        summary(verdict),
        "exchange 1",
        "there is no token to compare with"
    );
}

#[test]
fn t8_the_stored_token_that_was_rejected_in_a_field_of_its_own_is_not_adopted() {
    let name = http::HeaderName::from_static("x-api-key");
    let placed = token("same", 10).header_name(name);
    for reason in [Reason::Rejected, Reason::Forced, Reason::Due] {
        let verdict = question(reason, Some(&placed)).decide(Some(&entry(token("same", 10))));
        assert_eq!(summary(verdict), "exchange 1", "{reason:?}");
    }
}

#[test]
fn t5_a_stored_token_without_an_expiry_is_used_for_the_default_lifetime() {
    let stored = entry(Token::new("t").unwrap().obtained_at(now() - SECOND * 60));
    let mut question = question(Reason::Missing, None);
    assert_eq!(summary(question.decide(Some(&stored))), "adopt t");
    question.default_lifetime = Some(SECOND * 50);
    assert_eq!(summary(question.decide(Some(&stored))), "exchange 1");
}

#[test]
fn t9_an_exchange_without_a_result_is_tried_once_more_within_the_grace() {
    let question = question(Reason::Missing, None);
    for (age, attempts, expected) in [
        (0, 1, "exchange 2"),
        (29, 1, "exchange 2"),
        (30, 1, "refuse refused"),
        (0, 2, "refuse refused"),
        (3600, 2, "refuse refused"),
    ] {
        let verdict = question.decide(Some(&with_pending_exchange(age, attempts)));
        assert_eq!(summary(verdict), expected, "{attempts} after {age} s");
    }
}

#[test]
fn t9_without_a_grace_the_error_asks_for_a_new_sign_in() {
    let mut question = question(Reason::Missing, None);
    question.issuer_grace = Duration::ZERO;
    let Verdict::Refuse(error) = question.decide(Some(&with_pending_exchange(0, 1))) else {
        panic!("the exchange is repeated");
    };
    let shown = error.to_string();
    assert!(
        shown.contains("sign in again") && shown.contains("process 7"),
        "{shown}"
    );
}

#[test]
fn t9_a_forced_renewal_tries_again() {
    let verdict = question(Reason::Forced, None).decide(Some(&with_pending_exchange(3600, 2)));
    assert_eq!(summary(verdict), "exchange 3");
}

#[test]
fn t9_a_note_of_another_refresh_token_does_not_count() {
    let mut entry = with_pending_exchange(3600, 2);
    entry.token = Some(token("signed-in", 200));
    let verdict = question(Reason::Missing, None).decide(Some(&entry));
    assert_eq!(summary(verdict), "exchange 1");
}

#[test]
fn t9_a_source_that_can_be_asked_again_ignores_notes() {
    let mut question = question(Reason::Missing, None);
    question.consumes_refresh_token = false;
    assert_eq!(
        summary(question.decide(Some(&with_pending_exchange(3600, 2)))),
        "exchange 1"
    );
}

#[test]
fn t2_the_issuers_pause_is_shared_and_a_forced_renewal_ignores_it() {
    let mut stored = entry(token("old", 200));
    stored.failure = Some(Failure {
        at: now() - SECOND * 2,
        pause: SECOND * 5,
        is_refusal: false,
        message: "busy".to_owned(),
    });
    let Verdict::Refuse(error) = question(Reason::Missing, None).decide(Some(&stored)) else {
        panic!("the issuer is asked during its pause");
    };
    assert_eq!(error.pause(), Some(SECOND * 3));
    let text = error.to_string();
    assert!(text.starts_with("busy (the response at 1970-"), "{text}");
    let forced = question(Reason::Forced, None).decide(Some(&stored));
    assert_eq!(summary(forced), "exchange 1");
    let mut later = question(Reason::Missing, None);
    later.now = now() + SECOND * 3;
    assert_eq!(summary(later.decide(Some(&stored))), "exchange 1");
}

#[test]
fn t6_a_failure_from_a_clock_that_is_minutes_ahead_does_not_block() {
    let mut stored = entry(token("old", 200));
    stored.failure = Some(Failure {
        at: now() + SECOND * 300,
        pause: SECOND * 5,
        is_refusal: true,
        message: "no".to_owned(),
    });
    let verdict = question(Reason::Missing, None).decide(Some(&stored));
    assert_eq!(summary(verdict), "exchange 1");
}
