//! The text, the expiry and the headers of a token, and that its output hides it.

use super::*;

#[test]
fn t5_a_given_expiry_wins_over_the_exp_claim() {
    let jwt = || Token::new("eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln").unwrap();
    let token = jwt().expires_in(Duration::from_secs(9)).expiry_from_jwt();
    assert_eq!(token.expires(), Expiry::In(Duration::from_secs(9)));
    let exp = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    assert_eq!(jwt().expiry_from_jwt().expires(), Expiry::Hint(exp));
}

#[test]
fn s1_debug_hides_the_token_its_other_headers_and_its_refresh_token() {
    let token = Token::new("s3cr3t")
        .unwrap()
        .with_header(HeaderName::from_static("x-key"), "s3cr3t-too")
        .unwrap()
        .with_refresh_token("s3cr3t-of-the-next")
        .unwrap();
    let shown = format!("{token:?}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
}

#[test]
fn basic_is_utf_8_and_refuses_what_rfc_7617_refuses() {
    // The example of RFC 7617 §2.1, and one with an empty password.
    for (user, password, value) in [
        ("test", "123\u{a3}", "Basic dGVzdDoxMjPCow=="),
        ("key", "", "Basic a2V5Og=="),
        ("", ":", "Basic Ojo="),
    ] {
        let token = Token::basic(user, password).unwrap();
        assert_eq!(token.headers()[0].1, value);
    }
    for (user, password, word) in [
        ("SECRET:x", "SECRET", "colon"),
        ("SECRET\n", "SECRET", "the user"),
        ("SECRET", "SECRET\u{7f}", "the password"),
        ("SECRET", "SECRET\u{85}", "the password"),
    ] {
        let error = Token::basic(user, password).unwrap_err().to_string();
        assert!(error.contains(word) && !error.contains("SECRET"), "{error}");
    }
}

#[test]
fn a_whole_authorization_value_keeps_its_scheme() {
    let token = Token::from_authorization("Bearer abc").unwrap();
    assert_eq!(token.expose(), "abc");
    assert_eq!(token.headers()[0].1.as_bytes(), b"Bearer abc");
    let whole = Token::from_authorization("Digest username=\"u\", uri=\"/\"").unwrap();
    assert_eq!(
        whole.headers()[0].1.as_bytes(),
        b"Digest username=\"u\", uri=\"/\""
    );
}

#[test]
fn the_scheme_is_returned_only_if_it_is_separate_from_the_secret() {
    let bearer = Token::new("abc").unwrap();
    assert_eq!(bearer.authentication_scheme(), Some("Bearer"));
    assert!(bearer.is_bearer());
    let lower = bearer.clone().scheme("bearer").unwrap();
    assert!(lower.is_bearer());
    let other = bearer.clone().scheme("DPoP").unwrap();
    assert_eq!(other.authentication_scheme(), Some("DPoP"));
    assert!(!other.is_bearer());
    assert!(other.is_dpop() && !bearer.is_dpop());
    let field = bearer.header_name(HeaderName::from_static("x-api-key"));
    assert_eq!(field.authentication_scheme(), None);
    assert!(!field.is_bearer());
    let whole = Token::from_authorization("Digest a=\"b\", c=\"d\"").unwrap();
    assert_eq!(whole.authentication_scheme(), None);
}

#[test]
fn another_field_has_the_text_alone_as_its_value() {
    let token = Token::new("k")
        .unwrap()
        .header_name(HeaderName::from_static("x-api-key"));
    let headers = token.headers();
    assert_eq!(headers.len(), 1);
    assert_eq!(headers[0].0, "x-api-key");
    assert_eq!(headers[0].1.as_bytes(), b"k");
}
