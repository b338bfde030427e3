//! The presets whose token is a JWT that is signed here: Snowflake and App Store Connect.

use keyfob::ErrorKind;
use keyfob_testkit::platforms::{AppStoreConnect, Fake, PlatformKey, Snowflake};

use crate::folder::Folder;
use crate::platforms::lives::{
    assert_error, check, clock, error_of, profile, serve_1000_requests_in_4_lives,
};
use crate::platforms::page::example;

use std::time::Duration;

fn snowflake(fake: &Fake<Snowflake>, folder: &Folder, key: &PlatformKey) -> String {
    let file = folder.file("snowflake.p8", &key.private_pem());
    let text = example(
        "snowflake_key_pair",
        &[
            ("https://myorg-account1.snowflakecomputing.com", &fake.url()),
            (
                "file:~/keys/snowflake.p8",
                &format!("file:{}", file.display()),
            ),
        ],
    );
    // The host of the fake does not name the account.
    format!("{text}token.account = \"{}\"\n", Snowflake::ACCOUNT)
}

#[test]
fn snowflake_key_pair_serves_1000_requests_without_a_call() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = Snowflake::start_on(&clock);
    let text = snowflake(&fake, &folder, fake.key());
    let lifetime = Duration::from_secs(59 * 60);
    serve_1000_requests_in_4_lives(&profile(&text, "snowflake"), &clock, lifetime);
    assert_eq!(fake.refusals(), Vec::<String>::new());
    // Nothing but the requests themselves.
    assert_eq!(fake.accepted(), 1003);
}

#[tokio::test]
async fn snowflake_key_pair_passes_the_check_and_finds_a_wrong_key() {
    let (folder, fake) = (Folder::new(), Snowflake::start());
    let text = snowflake(&fake, &folder, fake.key());
    let found = check(&profile(&text, "snowflake"))
        .await
        .expect("the key is good");
    assert!(
        found.join("\n").contains("a JWT signed with the key"),
        "{found:?}"
    );
    let text = snowflake(&fake, &folder, &PlatformKey::p256("other"));
    let found = check(&profile(&text, "snowflake")).await.unwrap_err();
    for part in ["snowflake.p8", "P-256", "RS256"] {
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn snowflake_key_pair_takes_the_account_from_the_host() {
    let text = example(
        "snowflake_key_pair",
        &[(
            "base_url = \"https://myorg-account1.snowflakecomputing.com/",
            "base_url = \"https://api.example.com/",
        )],
    );
    let error = keyfob::Profiles::from_text(&text).unwrap_err().to_string();
    assert!(error.contains("`account` is missing"), "{error}");
}

pub(super) fn app_store_connect(
    fake: &Fake<AppStoreConnect>,
    folder: &Folder,
    key: &PlatformKey,
) -> String {
    let file = folder.file("key.p8", &key.private_pem());
    example(
        "app_store_connect",
        &[
            ("https://api.appstoreconnect.apple.com", &fake.url()),
            (
                "file:~/keys/AuthKey_2X9R4HXF34.p8",
                &format!("file:{}", file.display()),
            ),
        ],
    )
}

#[test]
fn app_store_connect_serves_1000_requests_with_each_kind_of_key() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = AppStoreConnect::start_on(&clock);
    let lifetime = Duration::from_secs(18 * 60);
    let team = app_store_connect(&fake, &folder, fake.team_key());
    serve_1000_requests_in_4_lives(&profile(&team, "apple"), &clock, lifetime);
    let issuer = format!("token.issuer_id = \"{}\"\n", AppStoreConnect::ISSUER);
    let person = app_store_connect(&fake, &folder, fake.individual_key())
        .replace(&issuer, "")
        .replace(fake.team_key().id(), fake.individual_key().id());
    serve_1000_requests_in_4_lives(&profile(&person, "apple"), &clock, lifetime);
    assert_eq!((fake.accepted(), fake.refusals()), (2006, Vec::new()));
}

#[test]
fn app_store_connect_names_a_key_of_the_wrong_kind() {
    let (folder, clock) = (Folder::new(), clock());
    let fake = AppStoreConnect::start_on(&clock);
    let text = app_store_connect(&fake, &folder, &PlatformKey::rsa("2X9R4HXF34"));
    let error = error_of(&profile(&text, "apple"), &clock, &["BEGIN"]);
    assert_error(&error, ErrorKind::Input, &["key.p8", "RSA", "ES256"]);
    let missing = text.replace("key.p8", "absent.p8");
    let error = error_of(&profile(&missing, "apple"), &clock, &[]);
    assert_error(&error, ErrorKind::Unavailable, &["absent.p8"]);
}
