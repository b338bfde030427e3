//! The environment variables that have to do with a profile: those in which programs expect the token, and those with secrets.

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
    // Some presets read this one unless they are told otherwise.
    let mut found = vec![ACTIONS_REQUEST_TOKEN.to_owned()];
    profile.each_text(|text| {
        if let Some(name) = text.strip_prefix("env:")
            && is_variable(name)
        {
            found.push(name.to_owned());
        }
    });
    found
}

/// Whether this can be the name of an environment variable in every shell.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

const LONGEST_PREFIX: usize = 40;

/// With it, jobs of GitHub Actions get tokens of their identity.
const ACTIONS_REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

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
        for name in ["STORE_KEY", "SECRET", super::ACTIONS_REQUEST_TOKEN] {
            assert!(variables.iter().any(|variable| variable == name), "{name}");
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
