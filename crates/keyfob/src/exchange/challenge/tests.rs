//! How fields of real servers are read.

use http::HeaderValue;

use super::*;

fn bearer(parameters: &[(&str, &str)]) -> Challenge {
    challenge("Bearer", parameters)
}

fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> Challenge {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Challenge {
        scheme: scheme.to_owned(),
        details: Details::Parameters(parameters.iter().map(owned).collect()),
    }
}

fn token68(scheme: &str, value: &str) -> Challenge {
    Challenge {
        scheme: scheme.to_owned(),
        details: Details::Token68(value.to_owned()),
    }
}

fn read(fields: &[&[u8]]) -> Vec<Challenge> {
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(field).unwrap());
    }
    Challenges::from_headers(&headers).0
}

#[test]
fn a_bare_scheme_is_a_challenge() {
    assert_eq!(
        Challenges::parse("Negotiate").0,
        [challenge("Negotiate", &[])]
    );
}

#[test]
fn no_field_is_no_challenge() {
    assert!(Challenges::from_headers(&HeaderMap::new()).is_empty());
    assert!(Challenges::parse(" , ,\t,").is_empty());
}

#[test]
fn several_challenges_share_one_field() {
    // The example of https://www.rfc-editor.org/rfc/rfc9110.html#section-11.6.1
    let field = r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#;
    let newauth = [
        ("realm", "apps"),
        ("type", "1"),
        ("title", "Login to \"apps\""),
    ];
    let expected = [
        challenge("Basic", &[("realm", "simple")]),
        challenge("Newauth", &newauth),
    ];
    assert_eq!(Challenges::parse(field).0, expected);
}

#[test]
fn several_fields_read_as_one() {
    let expected = [
        bearer(&[("realm", "a"), ("error", "b")]),
        challenge("Basic", &[]),
    ];
    assert_eq!(read(&[b"Bearer realm=a", b"error=b, Basic"]), expected);
}

#[test]
fn a_token68_ends_with_its_padding() {
    for value in ["abc", "a=", "YII==", "-._~+/09", "a==="] {
        let field = format!("Negotiate  {value} , Bearer a=b");
        let expected = [token68("Negotiate", value), bearer(&[("a", "b")])];
        assert_eq!(Challenges::parse(&field).0, expected, "{field}");
    }
}

#[test]
fn a_parameter_is_not_read_as_a_token68() {
    assert_eq!(Challenges::parse("Bearer a=b").0, [bearer(&[("a", "b")])]);
    assert_eq!(Challenges::parse("Bearer a = b").0, [bearer(&[("a", "b")])]);
}

#[test]
fn names_are_compared_without_case() {
    let challenges = Challenges::parse("bEARER ReAlM=Kept");
    let challenge = challenges.find("BeareR").unwrap();
    assert_eq!(challenge.scheme(), "bEARER");
    assert_eq!(challenge.realm(), Some("Kept"));
    assert_eq!(challenge.parameter("rEaLm"), Some("Kept"));
    assert!(challenges.find("Bear").is_none());
}

#[test]
fn the_first_parameter_of_a_name_counts() {
    let challenges = Challenges::parse("Bearer scope=a, SCOPE=b");
    let challenge = challenges.find("Bearer").unwrap();
    assert_eq!(challenge.scope(), Some("a"));
    assert_eq!(challenge.parameters().count(), 2);
}

#[test]
fn commas_and_escapes_inside_quotes_are_text() {
    let field = r#"Bearer a="x, Basic realm=\"y\"", b="\\\q", c="", d=",""#;
    let expected = bearer(&[
        ("a", "x, Basic realm=\"y\""),
        ("b", "\\q"),
        ("c", ""),
        ("d", ","),
    ]);
    assert_eq!(Challenges::parse(field).0, [expected]);
}

#[test]
fn empty_elements_and_blanks_are_skipped() {
    let field = ",, Bearer ,,a \t=\t b,\t, c=\"d\" ,, Basic,,";
    let expected = [bearer(&[("a", "b"), ("c", "d")]), challenge("Basic", &[])];
    assert_eq!(Challenges::parse(field).0, expected);
}

#[test]
fn a_value_is_utf8_or_else_latin1() {
    let expected = [bearer(&[("a", "caf\u{e9}"), ("b", "caf\u{e9}")])];
    assert_eq!(
        read(&[b"Bearer a=\"caf\xc3\xa9\", b=\"caf\xe9\""]),
        expected
    );
}

#[test]
fn the_text_before_a_fault_is_kept() {
    let kept = [bearer(&[("a", "b")])];
    for fault in [
        "=",
        "c=",
        "c=,",
        "c=\"d",
        "c=\"d\\",
        "c=\"d\"e",
        "c=d e",
        "c=d/e",
        "c@",
        "@",
        "\"c\"",
        "c=\"\u{7f}\"",
        "c=\"\\\u{1}\"",
        "\u{e9}=c",
        "c==",
        "c=d=e",
        "(c)",
    ] {
        let field = format!("Bearer a=b, {fault}, e=f, Basic");
        assert_eq!(Challenges::parse(&field).0, kept, "{field}");
    }
}

#[test]
fn a_parameter_needs_a_scheme_with_parameters() {
    assert_eq!(Challenges::parse("realm=a, Bearer").0, []);
    let kept = [token68("Negotiate", "abc")];
    assert_eq!(Challenges::parse("Negotiate abc, realm=a, Bearer").0, kept);
}

#[test]
fn two_words_without_a_comma_are_a_fault() {
    assert_eq!(Challenges::parse("Bearer Basic realm=a").0, [bearer(&[])]);
    assert_eq!(Challenges::parse("Bearer a b").0, [bearer(&[])]);
}

#[test]
fn a_fault_ends_only_its_own_field() {
    let expected = [bearer(&[("a", "b")]), challenge("Basic", &[("c", "d")])];
    assert_eq!(read(&[b"Bearer a=b, @", b"Basic c=d"]), expected);
    assert_eq!(read(&[b"Bearer a=b, @", b"c=d"]), expected[..1]);
}

#[test]
fn insufficient_scope_is_an_error_of_bearer_and_dpop_only() {
    for (field, expected) in [
        ("Bearer error=insufficient_scope", true),
        ("dpop error=\"insufficient_scope\"", true),
        ("Bearer, DPoP error=insufficient_scope", true),
        ("Basic error=insufficient_scope", false),
        ("Bearer error=invalid_token", false),
        ("Bearer error=Insufficient_Scope", false),
        ("Bearer scope=insufficient_scope", false),
    ] {
        let challenges = Challenges::parse(field);
        assert_eq!(challenges.insufficient_scope(), expected, "{field}");
    }
}

#[test]
fn errors_about_a_proof_are_read_from_dpop_only() {
    for (field, nonce, proof) in [
        ("DPoP error=\"use_dpop_nonce\"", true, false),
        ("Bearer, dpop error=use_dpop_nonce", true, false),
        (
            "DPoP algs=\"ES256\", error=\"invalid_dpop_proof\"",
            false,
            true,
        ),
        ("Bearer error=use_dpop_nonce", false, false),
        ("Bearer error=invalid_dpop_proof", false, false),
        ("DPoP error=invalid_token", false, false),
    ] {
        let challenges = Challenges::parse(field);
        assert_eq!(challenges.use_dpop_nonce(), nonce, "{field}");
        assert_eq!(challenges.invalid_dpop_proof(), proof, "{field}");
    }
}

#[test]
fn the_description_of_an_error_is_the_servers_text() {
    let challenges =
        Challenges::parse(r#"Bearer error=x, error_description="It has, \"alas\", expired""#);
    let challenge = challenges.find("Bearer").unwrap();
    assert_eq!(challenge.error(), Some("x"));
    assert_eq!(
        challenge.error_description(),
        Some(r#"It has, "alas", expired"#)
    );
}

#[test]
fn challenges_and_parameters_over_the_limits_are_dropped() {
    let parameters: String = (0..100).map(|i| format!("p{i}=v, ")).collect();
    let read = Challenges::parse(&format!("Bearer {parameters} Basic"));
    let count = read.find("Bearer").unwrap().parameters().count();
    assert_eq!(count, Challenges::MAX_PARAMETERS);
    assert!(read.find("Basic").is_some());

    let schemes: String = (0..100).map(|i| format!("s{i}, ")).collect();
    let read = Challenges::parse(&schemes);
    assert_eq!(read.iter().count(), Challenges::MAX_CHALLENGES);
    assert!(read.find("s63").is_some());
}

/// Each field is so long that reading it in quadratic time would not end.
#[test]
fn long_fields_are_read_in_linear_time() {
    const LENGTH: usize = 2_000_000;
    for part in [
        ",", " ", ", ", "a", "=", "a ", "a, ", "a b, ", "a b=c, ", "a b= ", "b=c,", "\"", "\\",
        "\\\"", "\",",
    ] {
        for start in ["", "Bearer ", "Bearer a=", "Bearer a=\"", "Bearer a=b, "] {
            let field = start.to_owned() + &part.repeat(LENGTH / part.len());
            let read = Challenges::parse(&field);
            assert!(read.iter().count() <= Challenges::MAX_CHALLENGES);
        }
    }
}
