//! What a new profile asks for, refuses and writes.

use super::*;
use crate::profile::profile::Profiles;

fn example(key: &Key) -> &'static str {
    match key.kind {
        Kind::Secret | Kind::Secrets | Kind::SecretOrName(_) | Kind::Source(_) | Kind::Token => {
            "env:SECRET"
        }
        Kind::Id => "7",
        Kind::Url | Kind::Origins => "https://a.example",
        Kind::LoopbackUrl => "http://127.0.0.1/callback",
        Kind::Path => "/path",
        Kind::Seconds | Kind::Number(..) => "5",
        Kind::Statuses => "403, 498",
        Kind::TextsByName => "{ tenant = \"north\" }",
        Kind::SecretsByName => "{ pin = \"env:PIN\" }",
        Kind::Word(words) | Kind::WordOrTable(words, _) => words()[0],
        _ => "word",
    }
}

#[test]
fn answers_to_all_questions_make_a_profile_of_each_kind() {
    for (kind, meaning) in NewProfile::kinds() {
        assert!(!meaning.is_empty());
        let mut new = NewProfile::new("a.b", kind).unwrap();
        let asked = new.questions().len();
        for _ in 0..asked {
            let question = new.questions().remove(0);
            let key = new.key(question.key).unwrap();
            new.set(key.name, example(key)).unwrap();
        }
        assert!(new.questions().is_empty(), "{kind}");
        // Platforms have rules of their own for the values of their presets.
        if new.fixed == Some("preset") && kind != "api_key" {
            continue;
        }
        let text = new.to_toml();
        let profiles = Profiles::from_text(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(profiles.get("a.b").is_ok(), "{text}");
        for question in new.optional_questions() {
            let key = new.key(question.key).unwrap();
            new.set(key.name, example(key)).unwrap();
        }
        let text = new.to_toml();
        assert!(Profiles::from_text(&text).is_ok(), "{text}");
    }
}

#[test]
fn there_is_a_meaning_for_each_kind_of_token_in_the_file() {
    let mut known: Vec<_> = MEANINGS.iter().map(|(name, _)| *name).collect();
    let mut declared: Vec<_> = token::KEYS.variants.iter().map(|each| each.name).collect();
    known.sort_unstable();
    declared.sort_unstable();
    assert_eq!(known, declared);
}

#[test]
fn each_key_has_its_meaning_above_it() {
    let mut new = NewProfile::new("a", "source").unwrap();
    new.set("source", "command:gh auth token").unwrap();
    new.set("base_url", "https://api.github.com/").unwrap();
    new.set("rejected_statuses", "403, 498").unwrap();
    assert_eq!(
        new.to_toml(),
        "[profiles.a]\n\
         # the token goes to the origin of this URL, and relative URLs are resolved against it\n\
         base_url = \"https://api.github.com/\"\n\
         # a status, or a list of them, by which a server says that the token is not valid, in addition to 401\n\
         rejected_statuses = [403, 498]\n\
         \n\
         [profiles.a.token]\n\
         # a reference to the token: a file, a command, a variable, an entry of the keyring or another profile; or `http` or `signed_jwt`\n\
         source = \"command:gh auth token\"\n"
    );
}

#[test]
fn s1_a_secret_in_place_of_a_reference_or_a_text_is_refused_and_not_quoted() {
    let mut new = NewProfile::new("a", "client_credentials").unwrap();
    for (key, value) in [
        ("client_secret", "s3cret-value"),
        ("private_key", "-----BEGIN PRIVATE KEY----- s3cret-value"),
        ("client_id", "-----BEGIN PRIVATE KEY----- s3cret-value"),
        ("client_id", "eyJhbGciOiJ.eyJzdWIi.s3cret-value"),
        ("scopes", "ghp_s3cret-value"),
        ("base_url", "s3cret-value"),
        ("client_authentication", "s3cret-value"),
        ("timeout", "s3cret-value"),
        ("parameters", "s3cret-value"),
    ] {
        let error = new.set(key, value).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
        assert!(error.contains(key), "{error}");
    }
    assert!(!new.to_toml().contains("s3cret"));
}

#[test]
fn a_wrong_name_kind_or_key_is_an_error_that_names_the_right_ones() {
    assert!(NewProfile::new("a b", "source").is_err());
    let error = NewProfile::new("a", "client-credentials").err().unwrap();
    assert!(
        error
            .to_string()
            .contains("did you mean `client_credentials`?"),
        "{error}"
    );
    let mut new = NewProfile::new("a", "device_code").unwrap();
    for key in ["grant", "refresh_token", "clientid", "token", "retry"] {
        assert!(new.set(key, "x").is_err(), "{key}");
    }
}

#[test]
fn no_value_ends_its_string_in_the_file() {
    let mut new = NewProfile::new("a", "client_credentials").unwrap();
    new.set("base_url", "https://a.example").unwrap();
    new.set("issuer", "https://a.example").unwrap();
    new.set("client_id", "a\"\n[profiles.evil]\n\\").unwrap();
    let profiles = Profiles::from_text(&new.to_toml()).unwrap();
    assert_eq!(profiles.iter().count(), 1);
}
