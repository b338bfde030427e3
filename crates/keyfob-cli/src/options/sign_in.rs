//! The profile that a person signs in to or out of, and where its token is kept.

use clap::Args;
use keyfob::Profile;

use crate::options::profile::ConfigOption;
use crate::output::error::CliError;

/// A profile that people sign in to.
#[derive(Args)]
pub(crate) struct SignInProfile {
    /// The profile; may be left out if people sign in to only one
    name: Option<String>,
    /// The same as NAME
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "name",
        help_heading = "Profile"
    )]
    profile: Option<String>,
    #[command(flatten)]
    config: ConfigOption,
}

impl SignInProfile {
    pub(crate) fn choose(&self) -> Result<Profile, CliError> {
        let profiles = self.config.profiles()?;
        if let Some(name) = self.name.as_ref().or(self.profile.as_ref()) {
            return people_only(profiles.get(name)?.clone());
        }
        let people: Vec<_> = profiles
            .iter()
            .filter(|profile| profile.sign_in().is_some())
            .collect();
        match people.as_slice() {
            [only] => Ok((*only).clone()),
            [] => Err(CliError::usage(format!(
                "people sign in to no profile of {}; give one the grant \"authorization_code\" or \"device_code\"",
                profiles.file()
            ))),
            several => {
                let names: Vec<_> = several.iter().map(|profile| profile.name()).collect();
                Err(CliError::usage(format!(
                    "people sign in to several profiles; say which of {}",
                    names.join(", ")
                )))
            }
        }
    }
}

fn people_only(profile: Profile) -> Result<Profile, CliError> {
    if profile.sign_in().is_some() {
        return Ok(profile);
    }
    Err(CliError::usage(format!(
        "nobody signs in to {}: its token is from {}",
        profile.name(),
        profile.token_from()
    )))
}
