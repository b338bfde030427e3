//! Properties of any output.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::source::token_text::tests::{RFC_3339, TIME};

/// Any JSON, with the secret in some strings and with the field names of the formats.
fn any_json(secret: &'static str) -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        4 => prop::sample::select(vec![
            "Ok", "Err", "kind", "status", "success", "headers", "Secret", "access_token", "token_type",
            "expires_in", "accessToken", "expires_on", "token", "v", "expires", "Authorization", "cache",
            "expiration", "id_token", "SecretAccessKey", "expirationTimestamp",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
        1 => Just(secret.to_owned()),
    ];
    let text = prop_oneof![
        3 => Just(secret.to_owned()),
        1 => Just(format!("Bearer {secret}")),
        1 => Just(format!("{secret} and\n{secret}")),
        1 => prop::sample::select(vec!["ExecCredential", "get", "expires", "never", RFC_3339])
            .prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => prop::collection::vec((name.clone(), inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

const MARKED: &str = "s3cr3t-7Q9z_xK2";

fn contains_marked(text: &str) -> bool {
    let mut pieces = MARKED.as_bytes().windows(6);
    pieces.any(|piece| text.contains(std::str::from_utf8(piece).unwrap()))
}

/// Everything that a token or an error shows in `Debug` and `Display`.
fn shown(output: &[u8]) -> String {
    match parse(output) {
        Ok(token) => format!("{token:?}"),
        Err(error) => format!("{error} {error:?}"),
    }
}

proptest! {
    #[test]
    fn s3_any_bytes_are_read_without_panic_and_never_quoted(
        before in prop::collection::vec(any::<u8>(), 0..64),
        after in "[ \\n={}\"\\[:,a-z]{0,20}",
    ) {
        let mut output = before;
        output.extend_from_slice(MARKED.as_bytes());
        output.extend_from_slice(after.as_bytes());
        let _ = reported_failure(&output);
        prop_assert!(!contains_marked(&shown(&output)));
    }

    #[test]
    fn s3_any_json_is_read_without_panic_and_never_quoted(value in any_json(MARKED)) {
        let output = value.to_string();
        let _ = reported_failure(output.as_bytes());
        prop_assert!(!contains_marked(&shown(output.as_bytes())), "{}", shown(output.as_bytes()));
        let cut = &output.as_bytes()[..output.len() / 2];
        prop_assert!(!contains_marked(&shown(cut)));
    }

    #[test]
    fn each_format_yields_the_token_that_it_holds(secret in "[!#-\\[\\]-z|~]{1,80}", seconds in 0..TIME) {
        let time = jiff::Timestamp::from_second(seconds as i64).unwrap().to_string();
        let at = Expiry::At(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let within = Expiry::In(Duration::from_secs(seconds));
        let whole = format!("Bearer {secret}");
        let outputs = [
            (json!({ "headers": { "Authorization": [whole] }, "expires": time }).to_string(), at),
            (json!({ "kind": "ExecCredential", "status": { "token": secret, "expirationTimestamp": time } })
                .to_string(), at),
            (json!({ "success": true, "id_token": secret, "expiration_time": seconds }).to_string(), at),
            (json!({ "Ok": { "token": whole, "cache": "expires", "expiration": seconds } }).to_string(), at),
            (json!({ "accessToken": secret, "expires_on": seconds }).to_string(), at),
            (json!({ "access_token": secret, "expires_in": seconds }).to_string(), within),
            (format!("password={secret}\npassword_expiry_utc={seconds}\n"), at),
        ];
        for (output, expiry) in outputs {
            let token = parse(output.as_bytes()).unwrap();
            prop_assert_eq!(token.expose(), &secret);
            prop_assert_eq!(token.expires(), expiry);
        }
    }
}
