//! What the exchange decides, answer by answer.

use super::*;
use http::HeaderValue;

const NOW: Now = Now {
    elapsed: Duration::from_secs(1000),
    wall: SystemTime::UNIX_EPOCH,
    jitter: 0.5,
};

fn exchange(effect: Idempotency, body: Replay) -> Exchange {
    Exchange::new(Arc::new(RetryPolicy::default()), effect, body, NOW.elapsed)
}

fn answer(exchange: &mut Exchange, status: u16, headers: &[(HeaderName, &'static str)]) -> Step {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
        .collect();
    let status = StatusCode::from_u16(status).unwrap();
    exchange.judge(Outcome::Response(status, &headers), || NOW)
}

fn waits(step: &Step) -> bool {
    matches!(step, Step::Wait(..))
}

#[test]
fn every_field_that_judging_reads_is_named() {
    let exchange = exchange(Idempotency::Idempotent, Replay::Possible);
    let named = |status| exchange.judged_fields(StatusCode::from_u16(status).unwrap());
    assert!(named(200).eq([GRPC_STATUS]));
    assert!(named(401).eq([GRPC_STATUS, WWW_AUTHENTICATE]));
    assert!(named(503).eq([GRPC_STATUS, RETRY_AFTER]));
    let proving = exchange.with_proofs();
    let named = |status| proving.judged_fields(StatusCode::from_u16(status).unwrap());
    assert!(named(200).eq([GRPC_STATUS, DPOP_NONCE]));
    assert!(named(401).eq([GRPC_STATUS, WWW_AUTHENTICATE, DPOP_NONCE]));
}

#[test]
fn r4_idempotent_requests_are_retried_on_transient_statuses() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        assert!(
            waits(&answer(
                &mut exchange(Idempotency::Idempotent, Replay::Possible),
                status,
                &[]
            )),
            "{status}"
        );
    }
    for status in [200, 301, 400, 403, 404, 409, 410, 418, 501, 505] {
        assert_eq!(
            answer(
                &mut exchange(Idempotency::Idempotent, Replay::Possible),
                status,
                &[]
            ),
            Step::Done,
            "{status}"
        );
    }
}

#[test]
fn r4_post_is_sent_once_unless_the_server_says_it_was_not_processed() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        assert_eq!(
            answer(
                &mut exchange(Idempotency::NotIdempotent, Replay::Possible),
                status,
                &[]
            ),
            Step::Done
        );
    }
    for status in [429, 503] {
        let mut post = exchange(Idempotency::NotIdempotent, Replay::Possible);
        assert!(
            waits(&answer(&mut post, status, &[(RETRY_AFTER, "1")])),
            "{status}"
        );
    }
    let mut post = exchange(Idempotency::NotIdempotent, Replay::Possible);
    assert_eq!(answer(&mut post, 500, &[(RETRY_AFTER, "1")]), Step::Done);
}

#[test]
fn r4_only_a_connection_that_was_never_made_is_retried_for_any_method() {
    for (failure, once, each_time) in [
        (Failure::Connect, true, true),
        (Failure::Timeout, true, false),
        (Failure::Broken, true, false),
        (Failure::Final, false, false),
    ] {
        for (effect, retried) in [
            (Idempotency::Idempotent, once),
            (Idempotency::NotIdempotent, each_time),
        ] {
            let mut exchange = exchange(effect, Replay::Possible);
            let step = exchange.judge(Outcome::Failure(failure), || NOW);
            assert_eq!(waits(&step), retried, "{failure:?} {effect:?}");
        }
    }
}

#[test]
fn r4_a_body_that_cannot_be_replayed_is_never_sent_again() {
    let mut once = exchange(Idempotency::Idempotent, Replay::Impossible);
    assert_eq!(answer(&mut once, 503, &[(RETRY_AFTER, "0")]), Step::Done);
    let mut connect = exchange(Idempotency::Idempotent, Replay::Impossible);
    assert_eq!(
        connect.judge(Outcome::Failure(Failure::Connect), || NOW),
        Step::Done
    );
}

#[test]
fn r4_an_idempotency_key_makes_a_post_repeatable() {
    let mut headers = HeaderMap::new();
    assert_eq!(
        Idempotency::of(&Method::POST, &headers),
        Idempotency::NotIdempotent
    );
    headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("8e03978e"));
    assert_eq!(
        Idempotency::of(&Method::POST, &headers),
        Idempotency::Idempotent
    );
}

#[test]
fn r5_retries_end_after_the_last_attempt() {
    let mut exchange = exchange(Idempotency::Idempotent, Replay::Possible);
    let steps: Vec<_> = (0..4)
        .map(|_| waits(&answer(&mut exchange, 503, &[])))
        .collect();
    assert_eq!(steps, [true, true, true, false]);
}

#[test]
fn r5_retry_after_is_honoured_if_it_fits_and_else_the_answer_is_returned_now() {
    let mut fits = exchange(Idempotency::Idempotent, Replay::Possible);
    match answer(&mut fits, 503, &[(RETRY_AFTER, "30")]) {
        Step::Wait(pause, _) => assert!(pause >= Duration::from_secs(30), "{pause:?}"),
        step => panic!("{step:?}"),
    }
    for too_long in [
        "91",
        "315360000",
        "99999999999999999999",
        "Fri, 31 Dec 2100 23:59:59 GMT",
    ] {
        let mut exchange = exchange(Idempotency::Idempotent, Replay::Possible);
        assert_eq!(
            answer(&mut exchange, 503, &[(RETRY_AFTER, too_long)]),
            Step::Done,
            "{too_long}"
        );
    }
}

#[test]
fn r5_a_retry_after_that_is_nonsense_counts_as_none() {
    for nonsense in ["soon", "-1", "1.5", ""] {
        let mut get = exchange(Idempotency::Idempotent, Replay::Possible);
        assert!(waits(&answer(&mut get, 503, &[(RETRY_AFTER, nonsense)])));
        let mut post = exchange(Idempotency::NotIdempotent, Replay::Possible);
        assert_eq!(
            answer(&mut post, 503, &[(RETRY_AFTER, nonsense)]),
            Step::Done
        );
    }
}

#[test]
fn r5_the_budget_is_shared_between_requests() {
    let policy = Arc::new(RetryPolicy::default());
    let retried = (0..1000)
        .filter(|_| {
            let mut exchange = Exchange::new(
                Arc::clone(&policy),
                Idempotency::Idempotent,
                Replay::Possible,
                NOW.elapsed,
            );
            waits(&answer(&mut exchange, 500, &[]))
        })
        .count();
    assert!(retried < 50, "{retried}");
}

#[test]
fn r3_a_401_renews_once() {
    let mut exchange = exchange(Idempotency::NotIdempotent, Replay::Possible);
    assert!(matches!(answer(&mut exchange, 401, &[]), Step::Renew(_)));
    assert_eq!(answer(&mut exchange, 401, &[]), Step::Done);
}

#[test]
fn r3_insufficient_scope_does_not_renew() {
    let mut exchange = exchange(Idempotency::Idempotent, Replay::Possible);
    let challenge = [(
        WWW_AUTHENTICATE,
        "Bearer error=\"insufficient_scope\", scope=\"admin\"",
    )];
    assert_eq!(answer(&mut exchange, 401, &challenge), Step::Done);
}

#[test]
fn r3_a_401_to_a_body_that_is_gone_is_reported_but_not_replayed() {
    let mut exchange = exchange(Idempotency::Idempotent, Replay::Impossible);
    assert!(matches!(answer(&mut exchange, 401, &[]), Step::Reject(_)));
}

#[test]
fn r3_a_401_where_no_credential_was_sent_says_nothing_about_it() {
    let mut exchange = exchange(Idempotency::Idempotent, Replay::Possible);
    let unauthorized = Outcome::Response(StatusCode::UNAUTHORIZED, &HeaderMap::new());
    assert_eq!(
        exchange.judge_without_credential(unauthorized, || NOW),
        Step::Done
    );
}

const USE_NONCE: [(HeaderName, &str); 2] = [
    (WWW_AUTHENTICATE, "DPoP error=\"use_dpop_nonce\""),
    (DPOP_NONCE, "eyJ7S_zG"),
];

fn proving(effect: Idempotency, body: Replay) -> Exchange {
    exchange(effect, body).with_proofs()
}

#[test]
fn r3_a_proof_that_needs_a_nonce_is_made_again_once_and_the_token_is_kept() {
    let mut exchange = proving(Idempotency::NotIdempotent, Replay::Possible);
    let again = Step::Wait(Duration::ZERO, "dpop nonce");
    assert_eq!(answer(&mut exchange, 401, &USE_NONCE), again);
    assert_eq!(answer(&mut exchange, 401, &USE_NONCE), Step::Done);
    // Neither was a rejection of the token.
    assert!(matches!(answer(&mut exchange, 401, &[]), Step::Renew(_)));
}

#[test]
fn r3_a_nonce_after_a_renewal_is_obeyed_too() {
    let mut exchange = proving(Idempotency::Idempotent, Replay::Possible);
    let invalid = [(WWW_AUTHENTICATE, "DPoP error=\"invalid_token\"")];
    assert!(matches!(
        answer(&mut exchange, 401, &invalid),
        Step::Renew(_)
    ));
    assert!(waits(&answer(&mut exchange, 401, &USE_NONCE)));
    assert_eq!(answer(&mut exchange, 401, &invalid), Step::Done);
}

#[test]
fn r4_a_body_that_is_gone_is_not_sent_again_with_a_nonce_and_no_token_is_rejected() {
    let mut exchange = proving(Idempotency::Idempotent, Replay::Impossible);
    assert_eq!(answer(&mut exchange, 401, &USE_NONCE), Step::Done);
}

#[test]
fn r5_a_nonce_that_is_not_given_or_comes_too_late_is_not_waited_for() {
    let mut without = proving(Idempotency::Idempotent, Replay::Possible);
    assert_eq!(answer(&mut without, 401, &USE_NONCE[..1]), Step::Done);
    let mut late = proving(Idempotency::Idempotent, Replay::Possible);
    late.deadline = NOW.elapsed;
    assert_eq!(answer(&mut late, 401, &USE_NONCE), Step::Done);
}

#[test]
fn r5_a_nonce_costs_no_attempt_of_the_retries() {
    let mut exchange = proving(Idempotency::Idempotent, Replay::Possible);
    let mut answers = vec![answer(&mut exchange, 401, &USE_NONCE)];
    answers.extend((0..4).map(|_| answer(&mut exchange, 503, &[])));
    let sent_again: Vec<_> = answers.iter().map(waits).collect();
    assert_eq!(sent_again, [true, true, true, true, false]);
}

#[test]
fn r3_a_refused_proof_does_not_renew_the_token() {
    let refused = [(WWW_AUTHENTICATE, "DPoP error=\"invalid_dpop_proof\"")];
    let mut exchange = proving(Idempotency::Idempotent, Replay::Possible);
    assert_eq!(answer(&mut exchange, 401, &refused), Step::Done);
}

#[test]
fn r3_without_proofs_a_challenge_of_dpop_is_one_like_others() {
    for error in ["use_dpop_nonce", "invalid_dpop_proof"] {
        let challenge = format!("DPoP error=\"{error}\"");
        let headers = HeaderMap::from_iter([
            (WWW_AUTHENTICATE, HeaderValue::try_from(challenge).unwrap()),
            (DPOP_NONCE, HeaderValue::from_static("n")),
        ]);
        let outcome = Outcome::Response(StatusCode::UNAUTHORIZED, &headers);
        let step = exchange(Idempotency::Idempotent, Replay::Possible).judge(outcome, || NOW);
        assert!(matches!(step, Step::Renew(_)), "{error}");
    }
}

#[test]
fn r3_grpc_says_unauthenticated_with_a_status_of_its_own() {
    let mut exchange = exchange(Idempotency::NotIdempotent, Replay::Possible);
    let grpc_status = HeaderName::from_static("grpc-status");
    assert!(matches!(
        answer(&mut exchange, 200, &[(grpc_status, "16")]),
        Step::Renew(_)
    ));
}

#[test]
fn r8_the_patience_shrinks_with_time() {
    let exchange = exchange(Idempotency::Idempotent, Replay::Possible);
    assert_eq!(exchange.max_wait(NOW.elapsed), RetryPolicy::TOTAL);
    assert_eq!(
        exchange.max_wait(NOW.elapsed + RetryPolicy::TOTAL * 2),
        Duration::ZERO
    );
}
