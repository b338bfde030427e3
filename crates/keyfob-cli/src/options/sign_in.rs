//! The profile that a person signs in to or out of.

use clap::Args;
use keyfob::Profile;

use crate::options::profile::ConfigOption;
use crate::output::error::CliError;

/// The argument that names a profile with a sign-in.
#[derive(Args)]
pub(crate) struct SignInProfile {
    /// The profile; may be omitted if only one profile has a sign-in
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
            return with_sign_in(profiles.get(name)?.clone());
        }
        let candidates: Vec<_> = profiles
            .iter()
            .filter(|profile| profile.sign_in().is_some())
            .collect();
        match candidates.as_slice() {
            [only] => Ok((*only).clone()),
            [] => Err(CliError::usage(format!(
                "no profile in {} has a sign-in; give one the grant \"authorization_code\" or \"device_code\"",
                profiles.file()
            ))),
            several => {
                let names: Vec<_> = several.iter().map(|profile| profile.name()).collect();
                Err(CliError::usage(format!(
                    "several profiles have a sign-in; name one of {}",
                    names.join(", ")
                )))
            }
        }
    }
}

fn with_sign_in(profile: Profile) -> Result<Profile, CliError> {
    if profile.sign_in().is_some() {
        return Ok(profile);
    }
    Err(CliError::usage(format!(
        "the profile {} has no sign-in: its token comes from {}",
        profile.name(),
        profile.token_from()
    )))
}
