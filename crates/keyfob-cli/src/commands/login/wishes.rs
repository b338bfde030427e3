//! What a person asks for in addition to what the profile says: scopes, and how they want to authenticate.

use clap::Args;
use keyfob::Token;

use crate::options::profile::ConfigOption;
use crate::output::login_command::LoginCommand;

/// The options that ask for more than the profile does.
///
/// With one of them, a sign-in adds to the last one: it also asks for all scopes that were granted before.
#[derive(Args)]
#[command(next_help_heading = "More than the profile asks for")]
pub(super) struct Wishes {
    /// Ask for these scopes too, and for those that were granted before
    ///
    /// Several are separated by spaces, or the option is repeated. The last sign-in stays in use until this one succeeds. Without
    /// this option and the next two, keyfob login asks for the scopes of the profile only.
    #[arg(long, value_name = "SCOPES", allow_hyphen_values = true)]
    scope: Vec<String>,
    /// Ask for an authentication of one of these classes, best first (RFC 9470)
    #[arg(long, value_name = "CLASSES", allow_hyphen_values = true)]
    acr_values: Vec<String>,
    /// Ask for a sign-in at most this long ago, in seconds; 0 for a new one in any case (RFC 9470)
    #[arg(long, value_name = "SECONDS")]
    pub(super) max_age: Option<u64>,
}

impl Wishes {
    pub(super) fn classes(&self) -> Vec<&str> {
        self.acr_values
            .iter()
            .flat_map(|text| words(text))
            .collect()
    }

    /// The scopes to ask for in addition to those of the profile, if these were granted before.
    pub(super) fn scopes_after(&self, granted: &[String]) -> Vec<String> {
        match self.is_plain() {
            true => Vec::new(),
            false => granted.iter().cloned().chain(self.scopes()).collect(),
        }
    }

    /// The scopes that were granted before, or that an option names, and that the new token lacks.
    pub(super) fn missing(&self, granted: &[String], token: &Token) -> Vec<String> {
        let found: Vec<_> = words(token.scope().unwrap_or_default()).collect();
        let mut missing: Vec<_> = granted.iter().cloned().chain(self.scopes()).collect();
        // Many servers grant this one without naming it.
        missing.retain(|scope| !found.contains(&scope.as_str()) && scope != "offline_access");
        missing.sort();
        missing.dedup();
        missing
    }

    /// A line about scopes that the new token lacks.
    pub(super) fn report(
        &self,
        profile: &str,
        config: &ConfigOption,
        missing: &[String],
    ) -> String {
        let names = match missing {
            [one] => format!("scope {one}"),
            several => format!("scopes {}", several.join(" ")),
        };
        if !self.is_plain() {
            return format!("keyfob: the server did not grant the {names}\n");
        }
        let command = LoginCommand {
            profile,
            config: &config.arguments(),
            scopes: missing,
            ..LoginCommand::default()
        };
        format!("keyfob: the last sign-in also had the {names}; to have it again, run: {command}\n")
    }

    fn is_plain(&self) -> bool {
        self.scope.is_empty() && self.acr_values.is_empty() && self.max_age.is_none()
    }

    fn scopes(&self) -> impl Iterator<Item = String> {
        self.scope
            .iter()
            .flat_map(|text| words(text))
            .map(str::to_owned)
    }
}

pub(super) fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split_whitespace()
}
