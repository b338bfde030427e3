//! The profile that a person signs in to or out of.

use clap::Args;
use keyfob::Profile;
use url::Url;

use crate::options::profile::{ConfigOption, NamedProfile, SubjectOption, no_profile};
use crate::output::error::CliError;

/// The profile with a sign-in; it may be omitted if only one profile has a sign-in.
#[derive(Args)]
pub(crate) struct SignInProfile {
    #[command(flatten)]
    named: NamedProfile,
    #[command(flatten)]
    pub(crate) subject: SubjectOption,
}

impl SignInProfile {
    /// The URL that is given in place of a profile.
    pub(crate) fn url(&self) -> Result<Option<Url>, CliError> {
        let url = self.named.argument().filter(|name| name.contains("://"));
        // The error does not quote the URL, whose query may hold a secret.
        let url = url.map(Url::parse).transpose();
        url.map_err(|error| CliError::usage(format!("the URL cannot be parsed: {error}")))
    }

    /// The name that the option `--profile` gives.
    pub(crate) fn option(&self) -> Option<&str> {
        self.named.option()
    }

    pub(crate) fn config(&self) -> &ConfigOption {
        &self.named.config
    }

    /// The profile that the options name, for the user that they name.
    pub(crate) fn choose(&self) -> Result<Profile, CliError> {
        self.subject.of(self.profile()?)
    }

    fn profile(&self) -> Result<Profile, CliError> {
        let profiles = self.config().profiles()?;
        if let Some(name) = self.named.name()? {
            return with_sign_in(self.config().profile(name)?);
        }
        let candidates: Vec<_> = profiles
            .iter()
            .filter(|profile| profile.sign_in().is_some())
            .collect();
        match candidates.as_slice() {
            [only] => Ok((*only).clone()),
            [] if no_profile(&profiles).is_some() => Err(CliError::usage(format!(
                "there is no sign-in: {}, and `keyfob login URL` adds one for an API that says where to sign in",
                no_profile(&profiles).unwrap_or_default()
            ))),
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
