//! What the exchange decides for each response and failure.

use http::{HeaderValue, Method};
use url::Url;

use super::*;
use crate::exchange::outcome::Failure;

const NOW: Now = Now {
    elapsed: Duration::from_secs(1000),
    wall: SystemTime::UNIX_EPOCH,
    jitter: 0.5,
};

fn exchange(idempotency: Idempotency, body: Replay) -> Exchange {
    sharing(Arc::default(), idempotency, body)
}

fn sharing(budget: Arc<RetryBudget>, idempotency: Idempotency, body: Replay) -> Exchange {
    let policy = Arc::new(RetryPolicy::default());
    Exchange::new(policy, budget, idempotency, body, NOW.elapsed)
}

fn judge(exchange: &mut Exchange, outcome: Outcome<'_>) -> Step {
    let step = exchange.judge(outcome, OnRedirect::Return, || NOW);
    step.expect("a redirect that is returned is no error")
}

fn answer(exchange: &mut Exchange, status: u16, headers: &[(HeaderName, &'static str)]) -> Step {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
        .collect();
    let status = StatusCode::from_u16(status).unwrap();
    judge(exchange, Outcome::Response(status, &headers))
}

fn waits(step: &Step) -> bool {
    matches!(step, Step::Wait(..))
}

#[test]
fn judged_fields_names_every_field_that_judging_reads() {
    let exchange = exchange(Idempotency::Idempotent, Replay::Possible);
    let named = |status| exchange.judged_fields(StatusCode::from_u16(status).unwrap());
    assert!(named(200).eq([GRPC_STATUS]));
    assert!(named(401).eq([GRPC_STATUS, WWW_AUTHENTICATE]));
    assert!(named(503).eq([GRPC_STATUS, RETRY_AFTER, WWW_AUTHENTICATE]));
    assert!(named(302).eq([GRPC_STATUS, WWW_AUTHENTICATE, LOCATION]));
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
        (Failure::ConnectionRefused, true, true),
        (Failure::Timeout, true, false),
        (Failure::Broken, true, false),
        (Failure::Final, false, false),
    ] {
        for (effect, retried) in [
            (Idempotency::Idempotent, once),
            (Idempotency::NotIdempotent, each_time),
        ] {
            let mut exchange = exchange(effect, Replay::Possible);
            let step = judge(&mut exchange, Outcome::Failure(failure));
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
        judge(&mut connect, Outcome::Failure(Failure::Connect)),
        Step::Done
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
fn r5_a_retry_after_that_does_not_fit_returns_the_response_now() {
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
fn r5_an_unreadable_retry_after_counts_as_none() {
    for nonsense in ["soon", "-1", "1e3", ""] {
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
    let budget = Arc::new(RetryBudget::default());
    let retried = (0..1000)
        .filter(|_| {
            let budget = Arc::clone(&budget);
            let mut exchange = sharing(budget, Idempotency::Idempotent, Replay::Possible);
            waits(&answer(&mut exchange, 500, &[]))
        })
        .count();
    assert!(retried < 50, "{retried}");
}

/// The codes with which a server asks for more than a valid token.
const MORE: [&str; 3] = [
    "insufficient_scope",
    "insufficient_user_authentication",
    "insufficient_claims",
];

#[test]
fn r3_a_401_renews_once() {
    let mut exchange = exchange(Idempotency::NotIdempotent, Replay::Possible);
    assert!(matches!(answer(&mut exchange, 401, &[]), Step::Renew(_)));
    assert_eq!(answer(&mut exchange, 401, &[]), Step::Done);
}

#[test]
fn r3_a_refusal_that_asks_for_more_is_not_retried_by_any_policy() {
    for status in [401, 403, 429, 503] {
        let listed = StatusCode::from_u16(status).unwrap();
        for error in MORE {
            let challenge = format!("Bearer error={error}").leak();
            let policy = Arc::new(RetryPolicy::default().retry(listed));
            let (idempotent, body) = (Idempotency::Idempotent, Replay::Possible);
            let mut exchange = Exchange::new(policy, Arc::default(), idempotent, body, NOW.elapsed);
            let fields = [(WWW_AUTHENTICATE, &*challenge), (RETRY_AFTER, "1")];
            assert_eq!(
                answer(&mut exchange, status, &fields),
                Step::Done,
                "{status}"
            );
        }
    }
}

#[test]
fn r3_insufficient_scope_does_not_renew() {
    let mut exchange = exchange(Idempotency::Idempotent, Replay::Possible);
    let challenge = [(WWW_AUTHENTICATE, "Bearer error=insufficient_scope, scope=a")];
    assert_eq!(answer(&mut exchange, 401, &challenge), Step::Done);
}

#[test]
fn r3_a_401_to_a_body_that_is_gone_rejects_the_token_without_a_replay() {
    let mut exchange = exchange(Idempotency::Idempotent, Replay::Impossible);
    assert!(matches!(answer(&mut exchange, 401, &[]), Step::Reject(_)));
}

#[test]
fn r3_a_401_to_a_request_without_the_credential_renews_nothing() {
    let mut exchange = exchange(Idempotency::Idempotent, Replay::Possible);
    redirected(&mut exchange, "https://b.test/");
    assert!(!exchange.carries_credential());
    assert_eq!(answer(&mut exchange, 401, &[]), Step::Done);
}

const USE_NONCE: [(HeaderName, &str); 2] = [
    (WWW_AUTHENTICATE, "DPoP error=\"use_dpop_nonce\""),
    (DPOP_NONCE, "eyJ7S_zG"),
];

fn proving(effect: Idempotency, body: Replay) -> Exchange {
    exchange(effect, body).with_proofs()
}

#[test]
fn r3_a_proof_gets_a_requested_nonce_once_and_the_token_is_kept() {
    let mut exchange = proving(Idempotency::NotIdempotent, Replay::Possible);
    let again = Step::Wait(Duration::ZERO, "dpop nonce");
    assert_eq!(answer(&mut exchange, 401, &USE_NONCE), again);
    assert_eq!(answer(&mut exchange, 401, &USE_NONCE), Step::Done);
    // Neither response rejected the token.
    assert!(matches!(answer(&mut exchange, 401, &[]), Step::Renew(_)));
}

#[test]
fn r3_a_nonce_that_is_requested_after_a_renewal_is_used_too() {
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
fn r4_a_body_that_is_gone_is_not_sent_again_with_a_nonce() {
    let mut exchange = proving(Idempotency::Idempotent, Replay::Impossible);
    assert_eq!(answer(&mut exchange, 401, &USE_NONCE), Step::Done);
}

#[test]
fn r5_a_missing_or_late_nonce_ends_the_request() {
    let mut without = proving(Idempotency::Idempotent, Replay::Possible);
    assert_eq!(answer(&mut without, 401, &USE_NONCE[..1]), Step::Done);
    let mut late = proving(Idempotency::Idempotent, Replay::Possible);
    late.deadline = NOW.elapsed;
    assert_eq!(answer(&mut late, 401, &USE_NONCE), Step::Done);
}

#[test]
fn r5_a_nonce_does_not_count_as_a_failed_attempt() {
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
fn r3_without_proofs_a_dpop_challenge_renews_like_any_other() {
    for error in ["use_dpop_nonce", "invalid_dpop_proof"] {
        let challenge = format!("DPoP error=\"{error}\"");
        let headers = HeaderMap::from_iter([
            (WWW_AUTHENTICATE, HeaderValue::try_from(challenge).unwrap()),
            (DPOP_NONCE, HeaderValue::from_static("n")),
        ]);
        let outcome = Outcome::Response(StatusCode::UNAUTHORIZED, &headers);
        let mut exchange = exchange(Idempotency::Idempotent, Replay::Possible);
        let step = judge(&mut exchange, outcome);
        assert!(matches!(step, Step::Renew(_)), "{error}");
    }
}

#[test]
fn r3_invalid_token_renews_whatever_the_status() {
    for challenge in [
        "Bearer error=\"invalid_token\"",
        "Basic realm=\"x\", DPoP error=\"invalid_token\"",
    ] {
        for status in [302, 400, 401, 403, 404, 500, 503] {
            let mut post = exchange(Idempotency::NotIdempotent, Replay::Possible);
            let step = answer(&mut post, status, &[(WWW_AUTHENTICATE, challenge)]);
            assert!(matches!(step, Step::Renew(_)), "{status} {challenge}");
            let again = answer(&mut post, status, &[(WWW_AUTHENTICATE, challenge)]);
            assert!(!matches!(again, Step::Renew(_)), "{status} {challenge}");
        }
        let mut post = exchange(Idempotency::NotIdempotent, Replay::Possible);
        let success = answer(&mut post, 200, &[(WWW_AUTHENTICATE, challenge)]);
        assert_eq!(success, Step::Done, "the request was processed");
    }
    for other in [
        "Bearer error=\"invalid_request\"",
        "Basic error=\"invalid_token\"",
        "Bearer",
    ] {
        let mut get = exchange(Idempotency::Idempotent, Replay::Possible);
        let step = answer(&mut get, 403, &[(WWW_AUTHENTICATE, other)]);
        assert_eq!(step, Step::Done, "{other}");
    }
}

#[test]
fn r3_a_challenge_that_asks_for_more_does_not_renew() {
    for error in MORE {
        for scheme in ["Bearer", "DPoP"] {
            let challenge = format!("{scheme} error=\"{error}\", acr_values=\"phr\", max_age=5");
            let value = HeaderValue::try_from(challenge).unwrap();
            let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]);
            for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
                let mut exchange = exchange(Idempotency::Idempotent, Replay::Possible);
                let step = judge(&mut exchange, Outcome::Response(status, &headers));
                assert_eq!(step, Step::Done, "{status} {scheme} {error}");
            }
        }
    }
}

#[test]
fn r4_a_request_that_the_client_below_redirected_is_not_sent_again() {
    let mut exchange = exchange(Idempotency::Idempotent, Replay::Possible);
    exchange.forbid_replay();
    assert_eq!(answer(&mut exchange, 503, &[]), Step::Done);
    assert!(matches!(answer(&mut exchange, 401, &[]), Step::Reject(_)));
}

#[test]
fn r3_grpc_refuses_a_credential_with_a_status_of_its_own() {
    let mut exchange = exchange(Idempotency::NotIdempotent, Replay::Possible);
    let grpc_status = HeaderName::from_static("grpc-status");
    assert!(matches!(
        answer(&mut exchange, 200, &[(grpc_status, "16")]),
        Step::Renew(_)
    ));
}

#[test]
fn r8_the_wait_for_a_token_ends_with_the_total_time() {
    let exchange = exchange(Idempotency::Idempotent, Replay::Possible);
    assert_eq!(exchange.max_wait(NOW.elapsed), RetryPolicy::TOTAL);
    assert_eq!(
        exchange.max_wait(NOW.elapsed + RetryPolicy::TOTAL * 2),
        Duration::ZERO
    );
}

/// What follows on a redirect of a POST to `https://a.test/`.
fn redirect(exchange: &mut Exchange, status: u16, location: &'static str) -> Result<Step, Error> {
    let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))]);
    let outcome = Outcome::Response(StatusCode::from_u16(status).unwrap(), &headers);
    let url = Url::parse("https://a.test/").unwrap();
    exchange.judge(outcome, OnRedirect::Follow(&Method::POST, &url), || NOW)
}

fn redirected(exchange: &mut Exchange, location: &'static str) -> Redirect {
    match redirect(exchange, 307, location) {
        Ok(Step::Follow(redirect)) => *redirect,
        step => panic!("{location}: {step:?}"),
    }
}

#[test]
fn r1_a_credential_that_was_left_behind_is_not_put_back() {
    let mut exchange = exchange(Idempotency::Idempotent, Replay::Possible);
    let carried = ["/b", "https://a.test:443/", "http://a.test/", "/c"].map(|location| {
        redirected(&mut exchange, location);
        exchange.carries_credential()
    });
    assert_eq!(carried, [true, true, false, false]);
}

#[test]
fn r1_a_client_that_follows_redirects_itself_gets_the_same_rule() {
    let mut exchange = exchange(Idempotency::NotIdempotent, Replay::Impossible);
    let [a, b] = ["https://a.test", "https://b.test"].map(|text| text.parse().unwrap());
    assert!(exchange.redirected(&a, &a, RedirectBody::Dropped));
    // The request is a GET now.
    assert!(waits(&answer(&mut exchange, 503, &[])));
    assert!(!exchange.redirected(&a, &b, RedirectBody::Kept));
    assert!(!exchange.redirected(&b, &a, RedirectBody::Kept));
}

#[test]
fn r4_a_redirect_that_drops_the_body_makes_the_request_repeatable() {
    let mut exchange = exchange(Idempotency::NotIdempotent, Replay::Impossible);
    let step = redirect(&mut exchange, 303, "/b").unwrap();
    assert!(matches!(step, Step::Follow(redirect) if redirect.method() == Method::GET));
    assert!(waits(&answer(&mut exchange, 503, &[])));
}

#[test]
fn r4_a_redirect_that_asks_for_a_body_that_is_gone_is_returned() {
    let mut exchange = exchange(Idempotency::Idempotent, Replay::Impossible);
    assert_eq!(redirect(&mut exchange, 307, "/b").unwrap(), Step::Done);
}

#[test]
fn redirects_end_at_their_limit_or_are_returned() {
    let exchange = || exchange(Idempotency::Idempotent, Replay::Possible);
    let mut two = exchange().redirects(2);
    redirected(&mut two, "/1");
    redirected(&mut two, "/2");
    assert_eq!(
        redirect(&mut two, 307, "/3").unwrap_err().kind(),
        ErrorKind::Redirect
    );
    let mut none = exchange().redirects(0);
    assert_eq!(redirect(&mut none, 307, "/1").unwrap(), Step::Done);
    assert_eq!(
        answer(&mut exchange(), 307, &[(LOCATION, "/1")]),
        Step::Done
    );
}

#[test]
fn r1_a_credential_of_the_caller_is_not_renewed_but_left_behind_like_any_other() {
    let mut exchange = exchange(Idempotency::Idempotent, Replay::Possible);
    exchange.use_callers_credential();
    assert_eq!(answer(&mut exchange, 401, &[]), Step::Done);
    let [a, b] = ["https://a.test", "https://b.test"].map(|text| text.parse().unwrap());
    assert!(exchange.redirected(&a, &a, RedirectBody::Kept));
    assert!(!exchange.redirected(&a, &b, RedirectBody::Kept));
    exchange.use_callers_credential();
    assert!(!exchange.redirected(&b, &b, RedirectBody::Kept));
}

#[test]
fn r3_a_status_that_means_a_rejection_renews_once_and_is_never_retried() {
    let rejecting = |status: u16| {
        let status = StatusCode::from_u16(status).unwrap();
        exchange(Idempotency::NotIdempotent, Replay::Possible)
            .with_rejected_statuses(RejectedStatuses::new([status]).unwrap())
    };
    for status in [400, 403, 498, 503] {
        let mut exchange = rejecting(status);
        assert!(matches!(answer(&mut exchange, status, &[]), Step::Renew(_)));
        assert_eq!(
            answer(&mut exchange, status, &[(RETRY_AFTER, "1")]),
            Step::Done
        );
        assert_eq!(
            answer(&mut rejecting(499), status, &[]),
            Step::Done,
            "{status}"
        );
    }
    let scope = [(WWW_AUTHENTICATE, "Bearer error=\"insufficient_scope\"")];
    assert_eq!(answer(&mut rejecting(403), 403, &scope), Step::Done);
    let mut left = rejecting(403);
    left.leave_credential();
    assert_eq!(answer(&mut left, 403, &[]), Step::Done);
}
