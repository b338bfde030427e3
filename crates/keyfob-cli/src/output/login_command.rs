//! The command with which a person signs in, as a shell takes it.

use std::fmt;

/// `keyfob login` with the options for what a server asks for.
///
/// A server chooses the scopes and classes, so each is quoted for the shell: what a person pastes runs nothing else.
#[derive(Default)]
pub(crate) struct LoginCommand<'a> {
    pub(crate) profile: &'a str,
    /// The options that name the file of the profile.
    pub(crate) config: &'a [String],
    pub(crate) scopes: &'a [String],
    pub(crate) acr_values: &'a [String],
    /// In seconds.
    pub(crate) max_age: Option<u64>,
}

impl fmt::Display for LoginCommand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = vec![
            "keyfob".to_owned(),
            "login".to_owned(),
            self.profile.to_owned(),
        ];
        words.extend_from_slice(self.config);
        let lists = [("--scope", self.scopes), ("--acr-values", self.acr_values)];
        for (option, values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
            words.extend([option.to_owned(), values.join(" ")]);
        }
        if let Some(seconds) = self.max_age {
            words.extend(["--max-age".to_owned(), seconds.to_string()]);
        }
        f.write_str(&shell_words::join(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_what_a_server_asks_for_cannot_run_another_command() {
        let scopes = ["read".to_owned(), "$(reboot);'`x`'&>~!*".to_owned()];
        let command = LoginCommand {
            profile: "a",
            config: &["--config".to_owned(), "my file".to_owned()],
            scopes: &scopes,
            acr_values: &["-x".to_owned()],
            max_age: Some(0),
        };
        let text = command.to_string();
        let words = shell_words::split(&text).expect("the quotes are closed");
        let asked = scopes.join(" ");
        let expected = [
            "keyfob",
            "login",
            "a",
            "--config",
            "my file",
            "--scope",
            &asked,
            "--acr-values",
            "-x",
            "--max-age",
            "0",
        ];
        assert_eq!(words, expected, "{text}");
        assert!(text.contains("'read $(reboot);"), "{text}");
    }
}
