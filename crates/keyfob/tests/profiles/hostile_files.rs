//! Files that hold secrets in place of names, or far too much.

use keyfob::Profiles;

use crate::file_errors::{faults, with_keys, with_token};

#[test]
fn s1_a_secret_in_place_of_a_name_is_not_quoted() {
    let secret = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    for text in [
        with_token(&format!("{secret} = 1")),
        with_keys(&format!("{secret} = 1")),
        format!("{secret} = 1"),
    ] {
        let all = faults(&text).join("\n");
        assert!(!all.contains(secret), "{all}");
    }
    let profiles = Profiles::from_text(&with_token("source = \"env:A\"")).expect("it is right");
    for name in [secret, "sk-live-51H8xYt"] {
        let error = profiles.get(name).expect_err("there is no such profile");
        assert!(!format!("{error:?}").contains(name), "{error:?}");
    }
}

#[test]
fn a_file_of_very_many_unknown_keys_is_refused_with_the_first_of_them() {
    // Comparing each with each, or counting lines from the top for each, would take minutes here.
    let text: String = (0..100_000)
        .map(|number| format!("key_{number} = 1\n"))
        .collect();
    let faults = faults(&text);
    assert_eq!(faults.len(), 101);
    assert!(
        faults[0].starts_with("keyfob.toml:1:1: unknown key"),
        "{}",
        faults[0]
    );
    assert!(
        faults[100].contains("99900 more mistakes"),
        "{}",
        faults[100]
    );
}
