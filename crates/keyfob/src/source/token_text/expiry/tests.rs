//! The expiry in each format, under each name, and in each form.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::error::error::ErrorKind;
use crate::source::token_text::parse;
use crate::source::token_text::tests::{RFC_3339, TIME, bearer, carried, end, error};
use crate::token::token::Expiry;

/// Each format that is JSON, with this field for the expiry.
fn with_expiry(name: &str, value: &Value) -> [Value; 9] {
    let mut outputs = [
        json!({ "token": "t0k" }),
        json!({ "access_token": "t0k" }),
        json!({ "accessToken": "t0k" }),
        json!({ "Secret": "t0k" }),
        json!({ "success": true, "id_token": "t0k" }),
        json!({ "headers": { "Authorization": ["Bearer t0k"] } }),
        json!({ "credential": { "access_token": "t0k" } }),
        json!({ "status": { "token": "t0k" } }),
        json!({ "token": { "access_token": "t0k" } }),
    ];
    for output in &mut outputs {
        output[name] = value.clone();
    }
    outputs
}

#[test]
fn t5_an_expiry_is_read_under_each_of_its_names() {
    for name in [
        "expires_at",
        "expiresAt",
        "expires-at",
        "expires_on",
        "expires",
        "expiry",
        "expiration",
        "expirationTimestamp",
        "expiration_time",
        "expireTime",
        "exp",
        "Expiration",
        "token_expiry",
        "access_token_expires_at",
        "tokenExpiration",
        "expiry_date",
        "valid_until",
        "validTo",
        "not_after",
    ] {
        for value in [
            json!(TIME),
            json!(TIME as f64 + 0.25),
            json!(TIME * 1000),
            json!(TIME.to_string()),
            json!(format!("{}", TIME * 1000)),
            json!(RFC_3339),
            json!("2030-01-01T00:00:00"),
            json!("2030-01-01 00:00:00"),
            json!("2030-01-01T01:00:00+01:00"),
            json!("2030-01-01T00:00:00.000Z"),
            json!("2030-01-01T00:00:00+0000"),
            json!("2030-01-01T00:00:00UTC"),
            json!("2030-01-01 00:00:00 +0000 UTC"),
            json!("Tue, 01 Jan 2030 00:00:00 GMT"),
            json!("\t2030-01-01T00:00:00Z "),
        ] {
            for output in with_expiry(name, &value) {
                let (sent, expiry) = carried(&output);
                assert_eq!(sent, "Bearer t0k");
                let Expiry::At(at) = expiry else {
                    panic!("{output}: {expiry:?}")
                };
                let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
                assert_eq!(at, TIME, "{output}");
            }
        }
    }
    let lines = "password=t0k\nexpires_at=2030-01-01T00:00:00Z\n";
    assert_eq!(carried(lines), bearer(end()));
}

#[test]
fn t5_a_lifetime_is_read_under_each_of_its_names() {
    for name in [
        "expires_in",
        "expiresIn",
        "expires_in_seconds",
        "token_expires_in",
        "ttl",
        "lease_duration",
        "lifetime",
        "validityInSeconds",
    ] {
        for value in [
            json!(300),
            json!(300.0),
            json!("300"),
            json!("5m"),
            json!("PT5M"),
        ] {
            for output in with_expiry(name, &value) {
                assert_eq!(
                    carried(output),
                    bearer(Expiry::In(Duration::from_secs(300)))
                );
            }
        }
    }
}

#[test]
fn t5_an_expiry_that_cannot_be_read_is_an_error_that_names_the_field() {
    let values = [
        json!(-1),
        json!(1e300),
        json!(i64::MIN),
        json!(u64::MAX.to_string() + "0"),
        json!(""),
        json!("-1"),
        json!("+1"),
        json!("NaN"),
        json!("inf"),
        json!("soon"),
        json!("1.2.3"),
        json!(true),
        json!([1]),
        json!({}),
    ];
    for name in ["expires_at", "expires_in", "expiration", "expiresOn"] {
        for value in &values {
            for output in with_expiry(name, value) {
                let error = error(&output);
                assert_eq!(error.kind(), ErrorKind::Malformed, "{output}");
                assert!(
                    error.to_string().contains(&format!("`{name}`")),
                    "{output}: {error}"
                );
            }
        }
    }
    for text in ["2030-13-01T00:00:00Z", "99999-01-01T00:00:00Z", "1.5.2030"] {
        for output in with_expiry("expires", &json!(text)) {
            assert_eq!(error(&output).kind(), ErrorKind::Malformed, "{output}");
        }
    }
    for seconds in ["", "-1", "soon", "99999999999999999999"] {
        let output = format!("password=t\npassword_expiry_utc={seconds}\n");
        assert_eq!(
            parse(output.as_bytes()).is_ok(),
            seconds.is_empty(),
            "{output}"
        );
    }
}

#[test]
fn t5_an_unknown_field_that_is_an_expiry_by_its_name_is_an_error() {
    for name in [
        "expires_at_ms",
        "expiryTicks",
        "tokenExpiresInMinutes",
        "willExpire",
        "expiresx",
    ] {
        for output in with_expiry(name, &json!(5)) {
            let error = error(&output);
            assert_eq!(error.kind(), ErrorKind::Malformed, "{output}");
            assert!(
                error.to_string().contains(&format!("`{name}`")),
                "{output}: {error}"
            );
        }
    }
    let lines = error("password=t0k\nmy_expiry_field=1\n");
    assert!(lines.to_string().contains("`my_expiry_field`"), "{lines}");
}

#[test]
fn t5_fields_about_something_else_are_no_expiry() {
    for name in [
        "refresh_token_expires_in",
        "refresh_expires_at",
        "ext_expires_in",
        "extended_expires_on",
        "registrationExpiresAt",
        "client_secret_expires_at",
        "id_token_expires_in",
        "expired",
        "is_expired",
        "experience",
        "created_at",
        "not_before",
    ] {
        for output in with_expiry(name, &json!(5)) {
            assert_eq!(carried(output), bearer(Expiry::Unknown), "{name}");
        }
    }
    for absent in [json!(null), json!("0001-01-01T00:00:00Z")] {
        for output in with_expiry("expiry", &absent) {
            assert_eq!(carried(output), bearer(Expiry::Unknown));
        }
    }
}

#[test]
fn t5_a_time_counts_more_than_a_lifetime_and_the_earliest_time_counts() {
    let output = json!({ "access_token": "t0k", "expires_in": 5, "expires_at": TIME });
    assert_eq!(carried(output), bearer(end()));
    let output =
        json!({ "access_token": "t0k", "expires_at": TIME, "expiry": "2031-01-01T00:00:00Z" });
    assert_eq!(carried(output), bearer(end()));
}

#[test]
fn an_expiry_that_means_never_is_far_ahead() {
    let year_9998 = SystemTime::UNIX_EPOCH + Duration::from_secs(253_370_764_800);
    for never in [
        json!("9999-12-31T23:59:59Z"),
        json!("9999-12-31T23:59:59.9999999+00:00"),
        json!(253_402_300_799_u64),
    ] {
        for output in with_expiry("expires_at", &never) {
            let (_, expiry) = carried(output);
            assert!(
                matches!(expiry, Expiry::At(time) if time > year_9998),
                "{never}: {expiry:?}"
            );
        }
    }
    let (_, expiry) = carried(json!({ "access_token": "t0k", "expires_in": u64::MAX }));
    assert_eq!(expiry, Expiry::In(Duration::MAX));
}
