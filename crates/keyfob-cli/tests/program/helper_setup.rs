//! `keyfob helper setup` configures other programs.

use std::fs;

use keyfob_testkit::json;
use serde_json::Value;

use crate::keyfob::{Finished, Folder, Keyfob};

#[test]
fn the_configuration_is_printed_and_nothing_is_written() {
    let folder = with_profiles();
    for (program, part) in [
        (
            "git",
            "[credential \"https://api.example.com\"]\n\thelper =\n\thelper = \"!",
        ),
        ("docker", "\"api.example.com\": \"keyfob\""),
        (
            "terraform",
            "credentials_helper \"keyfob\" {\n  args = []\n}\n",
        ),
        ("bazel", "common --credential_helper=api.example.com=/"),
        (
            "cargo",
            "[registries.a]\nindex = \"sparse+https://api.example.com/v1/\"\ncredential-provider = [\"/",
        ),
        ("kubectl", "\"provideClusterInfo\": true"),
        (
            "rclone",
            "[a]\ntype = webdav\nurl = https://api.example.com/v1/\n",
        ),
        (
            "curl",
            "helper curl --profile a https://api.example.com/v1/ | curl --config -\n",
        ),
    ] {
        let done = setup(&folder, &[program, "--profile=a"]);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stdout.contains(part), "{done:?}");
    }
    let files = fs::read_dir(folder.path("")).expect("it is there").count();
    assert_eq!(files, 1, "only the profiles");
    assert_eq!(setup(&folder, &["git"]).code, 2);
    assert_eq!(setup(&folder, &["git", "--profile=none"]).code, 2);
    assert_eq!(setup(&folder, &["curl", "--profile=a", "--write"]).code, 2);
}

#[test]
fn the_page_about_kubernetes_has_the_plugin_that_the_setup_writes() {
    let page = include_str!("../../../../docs/how-to/kubernetes.md");
    let setup_line = "keyfob helper setup kubectl --profile cluster --write\n";
    assert!(page.contains(setup_line), "{page}");
    let folder = with_profiles();
    let printed = setup(&folder, &["kubectl", "--profile=a"]).stdout;
    let users: Value = serde_json::from_str(&printed).expect("it is JSON");
    let plugin = &users["users"][0]["user"]["exec"];
    for (key, value) in plugin.as_object().expect("it is one") {
        let value = match (&**key, value) {
            ("command", _) => "/usr/local/bin/keyfob".to_owned(),
            ("args", Value::Array(words)) => {
                let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
                format!("[{}]", words.join(", ").replace(", a", ", cluster"))
            }
            (_, Value::String(text)) => text.clone(),
            (_, other) => other.to_string(),
        };
        assert!(page.contains(&format!("\n      {key}: {value}\n")), "{key}");
    }
}

#[test]
fn the_configuration_is_written_once_and_keeps_what_was_there() {
    for (program, name, before) in [
        ("git", ".gitconfig", "[user]\n\tname = x"),
        ("terraform", ".terraformrc", "disable_checkpoint = true\n"),
        ("bazel", ".bazelrc", "build --jobs=2\n"),
        ("cargo", ".cargo/config.toml", "[build]\njobs = 2\n"),
        (
            "rclone",
            "config/rclone/rclone.conf",
            "[other]\ntype = local\n",
        ),
    ] {
        let folder = with_profiles();
        let file = folder.path(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("it is our folder");
        fs::write(&file, before).expect("it is our folder");
        let printed = setup(&folder, &[program, "--profile=a", &links(&folder)]).stdout;
        let first = setup(
            &folder,
            &[program, "--profile=a", "--write", &links(&folder)],
        );
        assert_eq!(first.code, 0, "{first:?}");
        let written = fs::read_to_string(&file).expect("it is there");
        assert_eq!(
            written,
            format!("{}\n\n{printed}", before.trim_end()),
            "{program}"
        );
        let second = setup(
            &folder,
            &[program, "--profile=a", "--write", &links(&folder)],
        );
        assert!(
            second.code == 0 && second.stderr.contains("already"),
            "{second:?}"
        );
        assert_eq!(fs::read_to_string(&file).expect("it is there"), written);
    }
}

#[test]
fn docker_keeps_its_other_settings_and_gets_a_link() {
    let folder = with_profiles();
    fs::create_dir_all(folder.path(".docker")).expect("it is our folder");
    let file = folder.file(
        ".docker/config.json",
        r#"{"auths": {"x": {}}, "credHelpers": {"other.example.com": "pass"}}"#,
    );
    for _ in 0..2 {
        let done = setup(
            &folder,
            &["docker", "--profile=a", "--write", &links(&folder)],
        );
        assert_eq!(done.code, 0, "{done:?}");
        let text = fs::read_to_string(&file).expect("it is there");
        let config: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            config,
            json!({
                "auths": {"x": {}},
                "credHelpers": {"other.example.com": "pass", "api.example.com": "keyfob"},
            })
        );
    }
    let link = fs::read_link(folder.path("links/docker-credential-keyfob")).expect("a link");
    assert_eq!(
        link,
        fs::canonicalize(env!("CARGO_BIN_EXE_keyfob")).expect("it is there")
    );
}

#[test]
fn a_setting_of_a_person_is_kept_and_named() {
    for (program, name, before) in [
        (
            "git",
            ".gitconfig",
            "[Credential \"https://api.example.com\"]\n\thelper = store\n",
        ),
        (
            "docker",
            ".docker/config.json",
            r#"{"credHelpers":{"api.example.com":"pass"}}"#,
        ),
        ("docker", ".docker/config.json", "[]"),
        (
            "terraform",
            ".terraformrc",
            "credentials_helper \"other\" {}\n",
        ),
        (
            "bazel",
            ".bazelrc",
            "build --credential_helper=api.example.com=/x\n",
        ),
        (
            "cargo",
            ".cargo/config.toml",
            "[registries.'a']\nindex = 'x'\n",
        ),
        ("cargo", ".cargo/config.toml", "registries = { a = {} }\n"),
        ("rclone", "config/rclone/rclone.conf", "[a]\ntype = local\n"),
        (
            "rclone",
            "config/rclone/rclone.conf",
            "# Encrypted\n\nRCLONE_ENCRYPT_V0:\nabc\n",
        ),
    ] {
        let folder = with_profiles();
        let file = folder.path(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("it is our folder");
        fs::write(&file, before).expect("it is our folder");
        let done = setup(
            &folder,
            &[program, "--profile=a", "--write", &links(&folder)],
        );
        assert_eq!(done.code, 2, "{program}: {done:?}");
        assert!(
            done.complaint().contains(&*file.to_string_lossy()),
            "{done:?}"
        );
        assert_eq!(fs::read_to_string(&file).expect("it is there"), before);
        assert!(!folder.path("links").exists(), "{program}");
    }
}

#[test]
fn another_program_under_the_name_of_a_link_is_kept() {
    let folder = with_profiles();
    fs::create_dir_all(folder.path("links")).expect("it is our folder");
    folder.file("links/docker-credential-keyfob", "mine");
    let done = setup(
        &folder,
        &["docker", "--profile=a", "--write", &links(&folder)],
    );
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.complaint().contains("--links"), "{done:?}");
    assert!(!folder.path(".docker").exists());
}

#[test]
fn a_link_names_the_profile_if_the_server_does_not_decide() {
    let folder = with_profiles();
    let done = setup(&folder, &["docker", "--profile=b"]);
    assert!(
        done.stdout.contains("\"b.example.com:5000\": \"keyfob-b\""),
        "{done:?}"
    );
    let done = setup(&folder, &["bazel", "--profile=b"]);
    assert!(done.stdout.contains("=b.example.com=/"), "{done:?}");
    assert!(
        done.stdout.contains("/bazel-credential-keyfob-b\n"),
        "{done:?}"
    );
    // Such a program passes no options on.
    let config = folder.path("keyfob.toml").display().to_string();
    let done = setup(&folder, &["docker", "--profile=a", "--config", &config]);
    assert_eq!(done.code, 2, "{done:?}");
    let done = setup(&folder, &["git", "--profile=a", "--config", &config]);
    assert!(done.stdout.contains("--config "), "{done:?}");
}

fn with_profiles() -> Folder {
    let folder = Folder::new();
    let profile =
        |name: &str, url: &str| format!("[profiles.{name}]\nbase_url = '{url}'\ntoken = 'env:T'\n");
    let profiles = [
        profile("a", "https://api.example.com/v1"),
        profile("b", "https://b.example.com:5000"),
        profile("c", "https://b.example.com:5000"),
    ];
    folder.file("keyfob.toml", &profiles.concat());
    folder
}

fn links(folder: &Folder) -> String {
    format!("--links={}", folder.path("links").display())
}

fn setup(folder: &Folder, arguments: &[&str]) -> Finished {
    let path = |name: &str| folder.path(name).display().to_string();
    Keyfob::new(["helper", "setup"].iter().chain(arguments))
        .env("HOME", &path(""))
        .env("XDG_CONFIG_HOME", &path("config"))
        .env("KEYFOB_CONFIG", &path("keyfob.toml"))
        .run()
}
