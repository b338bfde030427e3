use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + SECOND * 1_000_000
}

/// A token of 100 s that was got so many seconds ago.
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

fn noted(age: u32, attempts: u32) -> Entry {
    let mut entry = entry(token("old", 200));
    entry.pending = Some(PendingExchange {
        refresh_token: consumed(entry.token()),
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
        grace: SECOND * 30,
    }
}

fn outcome(verdict: Verdict) -> String {
    match verdict {
        Verdict::Adopt(token) => format!("adopt {}", token.expose()),
        Verdict::Exchange(attempts) => format!("exchange {attempts}"),
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
        assert_eq!(outcome(verdict), expected, "{reason:?} at {age} s");
    }
}

#[test]
fn t8_the_token_that_was_rejected_or_is_due_is_not_adopted() {
    let same = token("same", 10);
    for reason in [Reason::Rejected, Reason::Forced, Reason::Due] {
        let verdict = question(reason, Some(&same)).decide(Some(&entry(same.clone())));
        assert_eq!(outcome(verdict), "exchange 1", "{reason:?}");
    }
    let verdict = question(Reason::Forced, None).decide(Some(&entry(same)));
    assert_eq!(outcome(verdict), "exchange 1", "nothing to compare it with");
}

#[test]
fn t5_a_stored_token_without_an_expiry_is_used_for_the_default_lifetime() {
    let stored = entry(Token::new("t").unwrap().obtained_at(now() - SECOND * 60));
    let mut question = question(Reason::Missing, None);
    assert_eq!(outcome(question.decide(Some(&stored))), "adopt t");
    question.default_lifetime = Some(SECOND * 50);
    assert_eq!(outcome(question.decide(Some(&stored))), "exchange 1");
}

#[test]
fn t9_an_exchange_without_an_answer_is_tried_once_more_within_the_grace() {
    let question = question(Reason::Missing, None);
    for (age, attempts, expected) in [
        (0, 1, "exchange 2"),
        (29, 1, "exchange 2"),
        (30, 1, "refuse refused"),
        (0, 2, "refuse refused"),
        (3600, 2, "refuse refused"),
    ] {
        let verdict = question.decide(Some(&noted(age, attempts)));
        assert_eq!(outcome(verdict), expected, "{attempts} after {age} s");
    }
}

#[test]
fn t9_without_a_grace_no_exchange_is_repeated_and_the_error_asks_for_a_sign_in() {
    let mut question = question(Reason::Missing, None);
    question.grace = Duration::ZERO;
    let Verdict::Refuse(error) = question.decide(Some(&noted(0, 1))) else {
        panic!("the exchange would be repeated");
    };
    let shown = error.to_string();
    assert!(
        shown.contains("sign in again") && shown.contains("process 7"),
        "{shown}"
    );
}

#[test]
fn t9_a_caller_that_forces_may_try_again() {
    let verdict = question(Reason::Forced, None).decide(Some(&noted(3600, 2)));
    assert_eq!(outcome(verdict), "exchange 3");
}

#[test]
fn t9_a_note_of_another_refresh_token_does_not_count() {
    let mut entry = noted(3600, 2);
    entry.token = Some(token("signed-in", 200));
    let verdict = question(Reason::Missing, None).decide(Some(&entry));
    assert_eq!(outcome(verdict), "exchange 1");
}

#[test]
fn t9_a_source_that_may_be_repeated_needs_no_note() {
    let mut question = question(Reason::Missing, None);
    question.consumes_refresh_token = false;
    assert_eq!(
        outcome(question.decide(Some(&noted(3600, 2)))),
        "exchange 1"
    );
}

#[test]
fn t2_the_issuers_pause_is_shared_and_forcing_ends_it() {
    let mut stored = entry(token("old", 200));
    stored.failure = Some(Failure {
        at: now() - SECOND * 2,
        pause: SECOND * 5,
        is_refusal: false,
        message: "busy".to_owned(),
    });
    let Verdict::Refuse(error) = question(Reason::Missing, None).decide(Some(&stored)) else {
        panic!("the issuer is not left alone");
    };
    assert_eq!(
        (error.to_string(), error.pause()),
        ("busy".into(), Some(SECOND * 3))
    );
    let forced = question(Reason::Forced, None).decide(Some(&stored));
    assert_eq!(outcome(forced), "exchange 1");
    let mut later = question(Reason::Missing, None);
    later.now = now() + SECOND * 3;
    assert_eq!(outcome(later.decide(Some(&stored))), "exchange 1");
}

#[test]
fn t6_a_failure_of_a_clock_that_is_minutes_ahead_holds_nobody_up() {
    let mut stored = entry(token("old", 200));
    stored.failure = Some(Failure {
        at: now() + SECOND * 300,
        pause: SECOND * 5,
        is_refusal: true,
        message: "no".to_owned(),
    });
    let verdict = question(Reason::Missing, None).decide(Some(&stored));
    assert_eq!(outcome(verdict), "exchange 1");
}
