//! Properties of every field: a legal one is read as it was written, and any other can be read without a panic.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::exchange::challenge::grammar::{is_text, is_token};
use crate::exchange::challenge::{Challenge, Challenges, Details};

fn read(fields: &[&[u8]]) -> Vec<Challenge> {
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(field).unwrap());
    }
    Challenges::from_headers(&headers).0
}

fn token() -> impl Strategy<Value = String> {
    "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}"
}

fn blanks() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(String::new()), 4 => Just(" ".to_owned()), 2 => "[ \t]{0,3}"]
}

fn comma() -> impl Strategy<Value = String> {
    let odd = "[ \t]{0,2}(,[ \t]{0,2}){1,3}";
    prop_oneof![4 => Just(", ".to_owned()), 4 => odd, 1 => Just("\n".to_owned())]
}

/// A value and a way to write it. The bits decide which characters are escaped.
fn value() -> impl Strategy<Value = (String, String)> {
    let quoted = ("[\t -~\u{80}-\u{2fff}]{0,12}", any::<u16>()).prop_map(|(value, bits)| {
        let escaped = |(i, c): (usize, char)| {
            let backslash = matches!(c, '"' | '\\') || bits >> (i % 16) & 1 == 1;
            backslash.then_some('\\').into_iter().chain([c])
        };
        let text: String = value.chars().enumerate().flat_map(escaped).collect();
        (value, format!("\"{text}\""))
    });
    prop_oneof![token().prop_map(|value| (value.clone(), value)), quoted]
}

fn parameter() -> impl Strategy<Value = ((String, String), String)> {
    let parts = (token(), blanks(), blanks(), value());
    parts.prop_map(|(name, before, after, (value, spelled))| {
        let text = format!("{name}{before}={after}{spelled}");
        ((name, value), text)
    })
}

fn with_parameters() -> impl Strategy<Value = (Challenge, String)> {
    let lead = (" {1,3}", option::of(comma()));
    let parameters = vec((parameter(), comma()), 0..5);
    (token(), lead, parameters).prop_map(|(scheme, (spaces, comma), parameters)| {
        let (mut details, mut text) = (Vec::new(), scheme.clone());
        for (i, ((parameter, spelled), separator)) in parameters.into_iter().enumerate() {
            let first = spaces.clone() + comma.as_deref().unwrap_or_default();
            text += if i == 0 { &first } else { &separator };
            text += &spelled;
            details.push(parameter);
        }
        let details = Details::Parameters(details);
        (Challenge { scheme, details }, text)
    })
}

fn with_token68() -> impl Strategy<Value = (Challenge, String)> {
    let parts = (token(), " {1,3}", "[-._~+/0-9A-Za-z]{1,12}={0,2}");
    parts.prop_map(|(scheme, spaces, value)| {
        let text = format!("{scheme}{spaces}{value}");
        let details = Details::Token68(value);
        (Challenge { scheme, details }, text)
    })
}

/// Challenges, and a way to write them in several fields, which line feeds separate.
fn spelled() -> impl Strategy<Value = (Vec<Challenge>, String)> {
    let one = prop_oneof![3 => with_parameters(), 1 => with_token68()];
    (vec((one, comma()), 0..6), option::of(comma())).prop_map(|(many, lead)| {
        let (mut challenges, mut text) = (Vec::new(), lead.unwrap_or_default());
        for (i, ((challenge, spelled), separator)) in many.into_iter().enumerate() {
            text += if i == 0 { "" } else { &separator };
            text += &spelled;
            challenges.push(challenge);
        }
        (challenges, text)
    })
}

/// Bytes that are legal in a field, most of which have a meaning in the grammar.
fn field_bytes() -> impl Strategy<Value = Vec<u8>> {
    let telling = proptest::sample::select(b" \t,,==\"\"\\abc/@\xc3\xa9\xff".as_slice());
    let other = any::<u8>().prop_filter("legal in a field", |&byte| is_text(byte));
    vec(prop_oneof![4 => telling, 1 => other], 0..80)
}

proptest! {
    #[test]
    fn a_legal_field_is_read_as_it_was_written((challenges, text) in spelled()) {
        let fields: Vec<&[u8]> = text.split('\n').map(str::as_bytes).collect();
        prop_assert_eq!(read(&fields), challenges);
    }

    #[test]
    fn a_fault_at_the_end_drops_nothing_before_it((challenges, text) in spelled(), junk in field_bytes()) {
        let mut fields: Vec<Vec<u8>> = text.split('\n').map(|field| field.as_bytes().to_vec()).collect();
        let last = fields.last_mut().unwrap();
        last.extend_from_slice(b", @");
        last.extend_from_slice(&junk);
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(read(&fields), challenges);
    }

    #[test]
    fn any_fields_can_be_read(fields in vec(field_bytes(), 0..4)) {
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        for challenge in read(&fields) {
            prop_assert!(!challenge.scheme().is_empty());
            prop_assert!(challenge.scheme().bytes().all(is_token));
            prop_assert!(challenge.token68().is_none_or(|value| !value.is_empty()));
        }
    }

    #[test]
    fn any_string_can_be_parsed(field in any::<String>()) {
        Challenges::parse(&field);
    }
}
