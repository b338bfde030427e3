//! The environment variables that have to do with a profile: those in which programs expect the token, and those with secrets.

use std::path::Path;

use crate::profile::table::{Read, Value};

/// The names of variables.
pub(super) fn read_variables(value: &Value<'_>) -> Read<Vec<String>> {
    let names = value.texts()?;
    match names.iter().all(|name| is_variable(name)) {
        true => Ok(names),
        false => Err(value.error(
            "`env` takes names of environment variables, such as \"API_TOKEN\": letters, digits and `_`",
        )),
    }
}

/// The beginning of a stand-in. It goes into variables, URLs and headers, so it has only plain characters.
pub(super) fn read_stand_in_prefix(value: &Value<'_>) -> Read<String> {
    let prefix = value.text()?;
    let is_plain = prefix
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    match is_plain && prefix.len() <= LONGEST_PREFIX {
        true => Ok(prefix),
        false => Err(value.error(format!(
            "`stand_in_prefix` takes at most {LONGEST_PREFIX} letters, digits, `_`, `-` and `.`, such as \"ghp_\""
        ))),
    }
}

/// The variables that a profile, given as its table, reads secrets from.
pub(super) fn secret_variables(profile: &Value<'_>) -> Vec<String> {
    let mut found = OF_PLATFORMS.map(str::to_owned).to_vec();
    profile.each_text(|text| {
        if let Some(name) = text.strip_prefix("env:")
            && is_variable(name)
        {
            found.push(name.to_owned());
        }
    });
    found
}

/// The inherited descriptors that a profile, given as its table, reads secrets from.
pub(super) fn secret_descriptors(profile: &Value<'_>) -> Vec<String> {
    let mut found = Vec::new();
    profile.each_text(|text| {
        let path = text.strip_prefix("file:").unwrap_or(text);
        if is_descriptor(Path::new(path)) {
            found.push(path.to_owned());
        }
    });
    found
}

/// Whether this path leads to a descriptor of the process that opens it.
fn is_descriptor(path: &Path) -> bool {
    let of_process =
        path.starts_with("/proc") && path.components().any(|part| part.as_os_str() == "fd");
    of_process || path.starts_with("/dev/fd") || path == Path::new("/dev/stdin")
}

/// Whether this can be the name of an environment variable in every shell.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

const LONGEST_PREFIX: usize = 40;

/// What platforms give a program to get tokens of its identity, and presets read unless they are told otherwise.
const OF_PLATFORMS: [&str; 2] = [
    // Jobs of GitHub Actions.
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    // App Service and other platforms of Azure.
    "IDENTITY_HEADER",
];

#[cfg(test)]
mod tests {
    use crate::Profiles;

    #[test]
    fn p8_each_variable_with_a_secret_of_the_profile_is_known() {
        let profiles = Profiles::from_text(
            "[profiles.a]\norigins = \"https://a.example\"\n\
             store = { kind = \"file\", keys = [\"env:STORE_KEY\"] }\n\
             [profiles.a.token]\ngrant = \"client_credentials\"\nissuer = \"https://a.example\"\n\
             client_id = \"a\"\nclient_secret = \"env:SECRET\"\n",
        );
        let profiles = profiles.unwrap();
        let variables = profiles.get("a").unwrap().secret_variables();
        for name in ["STORE_KEY", "SECRET"].iter().chain(&super::OF_PLATFORMS) {
            assert!(variables.iter().any(|variable| variable == name), "{name}");
        }
    }

    #[test]
    fn p8_each_descriptor_with_a_secret_of_the_profile_is_known() {
        for (path, is_known) in [
            ("/dev/fd/3", true),
            ("/dev//fd/3", true),
            ("/dev/stdin", true),
            ("/proc/self/fd/3", true),
            ("/proc/thread-self/fd/3", true),
            ("/proc/1/environ", false),
            ("/dev/fdx", false),
            ("/run/secrets/fd/3", false),
        ] {
            let profiles = Profiles::from_text(&format!(
                "[profiles.a]\norigins = \"https://a.example\"\ntoken = \"file:{path}\"\n"
            ));
            let profile = profiles.unwrap().get("a").unwrap().clone();
            assert_eq!(profile.secret_descriptors() == [path], is_known, "{path}");
        }
    }

    #[test]
    fn variables_and_prefixes_have_plain_names() {
        let with = |line: &str| {
            Profiles::from_text(&format!(
                "[profiles.a]\norigins = \"https://a.example\"\ntoken = \"env:A\"\n{line}"
            ))
        };
        let profiles = with("env = [\"A_TOKEN\", \"B\"]\nstand_in_prefix = \"ghp_\"").unwrap();
        let profile = profiles.get("a").unwrap();
        assert_eq!(profile.variables(), ["A_TOKEN", "B"]);
        assert_eq!(profile.stand_in_prefix(), Some("ghp_"));
        for line in [
            "env = \"A=B\"",
            "env = [\"1A\"]",
            "env = \"\"",
            "stand_in_prefix = \"a b\"",
            "stand_in_prefix = \"a:b\"",
        ] {
            assert!(with(line).is_err(), "{line}");
        }
    }
}
