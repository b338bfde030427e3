//! Which profile a name or a URL selects.

use keyfob::{ErrorKind, Profiles};

const FILE: &str = r#"
    [profiles.reports]
    base_url = "https://api.example.com/reports/v1"
    token = "env:A"

    [profiles.orders]
    base_url = "https://api.example.com/orders/"
    origins = ["https://files.example.com", "http://127.0.0.1:8080"]
    token = "env:A"
"#;

fn matching(url: &str) -> Result<Option<String>, keyfob::Error> {
    let profiles = Profiles::from_text(FILE).expect("the file has no fault");
    let url = url.parse().expect("a URL");
    let found = profiles.matching(&url)?;
    Ok(found.map(|profile| profile.name().to_owned()))
}

#[test]
fn r1_a_url_selects_the_profile_of_its_origin() {
    for (url, name) in [
        ("https://files.example.com/x", Some("orders")),
        ("http://127.0.0.1:8080", Some("orders")),
        ("https://api.example.com/orders/5", Some("orders")),
        ("https://api.example.com/reports/v1?x=1", Some("reports")),
        ("https://api.example.com:8443/orders/5", None),
        ("http://files.example.com/x", None),
        ("https://example.com/", None),
    ] {
        assert_eq!(
            matching(url).expect("it is clear").as_deref(),
            name,
            "{url}"
        );
    }
}

#[test]
fn an_ambiguous_url_is_an_error_that_names_both_profiles() {
    let error = matching("https://api.example.com/users").expect_err("both fit");
    assert_eq!(error.kind(), ErrorKind::Input);
    for name in ["\"reports\"", "\"orders\""] {
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn an_unknown_profile_name_is_an_error_that_lists_the_profiles() {
    let profiles = Profiles::from_text(FILE).expect("the file has no fault");
    assert_eq!(
        profiles.get("orders").expect("it is there").name(),
        "orders"
    );
    let error = profiles.get("order").expect_err("it is not there");
    let text = error.to_string();
    assert!(text.contains("did you mean `orders`?"), "{text}");
    assert!(text.contains("orders, reports"), "{text}");
    let none = Profiles::from_text("").expect("an empty file has no fault");
    assert!(
        none.get("a")
            .expect_err("there is none")
            .to_string()
            .contains("has none")
    );
}

#[test]
fn a_profile_has_the_values_of_the_file() {
    let profiles = Profiles::from_text(FILE).expect("the file has no fault");
    let orders = profiles.get("orders").expect("it is there");
    let origins: Vec<_> = orders.origins().iter().map(ToString::to_string).collect();
    assert_eq!(
        origins,
        [
            "https://api.example.com",
            "https://files.example.com",
            "http://127.0.0.1:8080"
        ]
    );
    assert_eq!(orders.base_url().map(|url| url.path()), Some("/orders/"));
}
