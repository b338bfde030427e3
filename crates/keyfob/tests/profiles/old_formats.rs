//! Files of other versions of keyfob: a profile file, and what is stored next to the tokens.
//!
//! `tests/fixtures/formats` has a folder for each version whose formats differ from those of the version before. The entries
//! of stores are tested in `tests/stores/old_formats.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use keyfob::oauth::Registration;
use keyfob::store::{FileStore, StoreKey};
use keyfob::{ErrorKind, Profiles};
use keyfob_testkit::{Expect, ScriptedResponse, Server};
use serde_json::Value;

use crate::folder::Folder;
use crate::grants::token_response;

fn versions() -> Vec<PathBuf> {
    let folders = fs::read_dir(FORMATS).expect("the fixtures are there");
    let mut folders: Vec<_> = folders
        .map(|folder| folder.expect("it can be read").path())
        .collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

fn fixture(version: &Path, name: &str) -> String {
    let path = version.join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Puts a note into a directory that has the permissions which a store demands, and returns the path of the note.
fn put_note(folder: &Folder, issuer: &str, kind: &str, text: &str) -> PathBuf {
    let directory = folder.path("state");
    fs::create_dir_all(&directory).expect("it is our folder");
    set_mode(&directory, 0o700);
    let key = StoreKey::builder(issuer).grant(kind).build();
    let path = folder.file(&format!("state/{}.note", key.id()), text);
    set_mode(&path, 0o600);
    path
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn a_profile_file_of_each_version_is_read() {
    for version in versions() {
        let text = fixture(&version, "keyfob.toml");
        let profiles = Profiles::from_text(&text).unwrap_or_else(|error| panic!("{error}"));
        let names: Vec<_> = profiles.iter().map(|profile| profile.name()).collect();
        assert!(names.len() > 4, "{names:?}");
    }
}

#[test]
fn a_profile_file_of_a_newer_version_is_refused() {
    for version in versions() {
        let text = fixture(&version, "keyfob.toml") + "\n[from_a_newer_version]\na = 1\n";
        let error = Profiles::from_text(&text).expect_err("the key is not known");
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(
            error.to_string().contains("from_a_newer_version"),
            "{error}"
        );
    }
}

/// If this fails, a key or a value was removed that a profile file of an older version may have.
///
/// For a new version, write what `assert_eq` shows for today's schema to `profile-keys.txt` in the folder of the version.
#[test]
fn each_key_of_a_profile_file_of_an_older_version_is_known() {
    let schema = fs::read_to_string(SCHEMA).expect("the schema is in docs");
    let schema: Value = serde_json::from_str(&schema).expect("it is JSON");
    let mut known = BTreeSet::new();
    collect(&schema, "file", &mut known);
    for version in versions() {
        let old = fixture(&version, "profile-keys.txt");
        let missing: Vec<_> = old.lines().filter(|key| !known.contains(*key)).collect();
        assert_eq!(missing, [""; 0], "{}", version.display());
    }
    let newest = versions().pop().expect("there is one");
    let newest = fixture(&newest, "profile-keys.txt");
    assert!(newest.lines().count() > 300);
}

/// The keys and the named values of each definition of a schema, as `definition: key` and `definition = value`.
fn collect(schema: &Value, definition: &str, found: &mut BTreeSet<String>) {
    let Value::Object(members) = schema else {
        for item in schema.as_array().into_iter().flatten() {
            collect(item, definition, found);
        }
        return;
    };
    for (name, value) in members {
        match (name.as_str(), value) {
            ("$defs", Value::Object(definitions)) => {
                for (name, schema) in definitions {
                    collect(schema, name, found);
                }
                continue;
            }
            ("properties", Value::Object(keys)) => {
                found.extend(keys.keys().map(|key| format!("{definition}: {key}")));
            }
            ("const", Value::String(text)) => {
                found.insert(format!("{definition} = {text}"));
            }
            ("enum", Value::Array(values)) => {
                let texts = values.iter().filter_map(Value::as_str);
                found.extend(texts.map(|text| format!("{definition} = {text}")));
            }
            _ => {}
        }
        collect(value, definition, found);
    }
}

#[tokio::test]
async fn a_registration_of_each_version_is_used() {
    for version in versions() {
        let folder = Folder::new();
        let text = fixture(&version, "registration.note");
        put_note(&folder, ISSUER, "registration", &text);
        let store = FileStore::new(folder.path("state"));
        let found = Registration::load(&store, ISSUER).await;
        let found = found.expect("it can be read").expect("it is there");
        assert_eq!(found.client_id(), "c1ient");
        assert_eq!(found.redirect_uri(), "http://127.0.0.1:8400/callback");
    }
}

#[tokio::test]
async fn a_registration_of_a_newer_version_is_refused_and_stays() {
    let folder = Folder::new();
    let text = r#"{"version":99,"client":"what a later version means by this"}"#;
    let path = put_note(&folder, ISSUER, "registration", text);
    let store = FileStore::new(folder.path("state"));
    let error = Registration::load(&store, ISSUER).await;
    let error = error.expect_err("it is newer");
    assert!(error.to_string().contains("newer version"), "{error}");
    let ours = Registration::new(ISSUER, "ours", "http://127.0.0.1:1/callback");
    let error = ours.save(&store).await.expect_err("another one is there");
    assert!(error.to_string().contains("newer version"), "{error}");
    assert_eq!(fs::read_to_string(path).expect("it is there"), text);
}

/// The metadata of a server without a token endpoint in its place: only those from the store lead to a token.
#[tokio::test]
async fn metadata_of_each_version_are_used() {
    for version in versions() {
        let (folder, server) = (Folder::new(), Server::start());
        server.expect(Expect::post("/from-the-store").respond(token_response("t0ken")));
        let origin = server.url();
        let origin = origin.trim_end_matches('/');
        let text = fixture(&version, "metadata.note").replace("ORIGIN", origin);
        put_note(&folder, &format!("issuer {origin}"), "metadata", &text);
        let tokens = profile(&folder, origin).get("a").and_then(|a| a.tokens());
        let token = tokens.expect("it can be made").get_valid_token().await;
        assert_eq!(token.expect("a token").expose(), "t0ken");
    }
}

/// Metadata are a copy of what the server has: those of a newer version are fetched again.
#[tokio::test]
async fn metadata_of_a_newer_version_are_not_used() {
    let (folder, server) = (Folder::new(), Server::start());
    server.expect(Expect::any().always(ScriptedResponse::status(404)));
    let origin = server.url();
    let origin = origin.trim_end_matches('/');
    let version = versions().pop().expect("there is one");
    let text = fixture(&version, "metadata.note").replace("ORIGIN", origin);
    let newer = text.replace("\"version\":1", "\"version\":99");
    assert_ne!(newer, text);
    put_note(&folder, &format!("issuer {origin}"), "metadata", &newer);
    let tokens = profile(&folder, origin).get("a").and_then(|a| a.tokens());
    let token = tokens.expect("it can be made").get_valid_token().await;
    token.expect_err("the server has no metadata");
    let asked = server.received();
    assert!(
        asked.iter().all(|request| request.method == "GET"),
        "{asked:?}"
    );
}

fn profile(folder: &Folder, issuer: &str) -> Profiles {
    let text = format!(
        "[profiles.a]\nbase_url = \"https://a.example/\"\nstore = {{ kind = \"file\", directory = \"{}\" }}\n\
         [profiles.a.token]\ngrant = \"client_credentials\"\nissuer = \"{issuer}\"\nclient_id = \"c1ient\"\n",
        folder.path("state").display()
    );
    Profiles::from_text(&text).expect("the file has no fault")
}

const ISSUER: &str = "https://issuer.example.com";
const FORMATS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/formats");
const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/keyfob.schema.json");
