//! The profile that a person signs in to or out of, and where its token is kept.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use keyfob::Profile;
use keyfob::store::{StoreKey, TokenStore};

use crate::fault::Fault;
use crate::profile_options::ConfigOption;

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
    pub(crate) fn choose(&self) -> Result<Profile, Fault> {
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
            [] => Err(Fault::usage(format!(
                "people sign in to no profile of {}; give one the grant \"authorization_code\" or \"device_code\"",
                profiles.file()
            ))),
            several => {
                let names: Vec<_> = several.iter().map(|profile| profile.name()).collect();
                Err(Fault::usage(format!(
                    "people sign in to several profiles; say which of {}",
                    names.join(", ")
                )))
            }
        }
    }
}

fn people_only(profile: Profile) -> Result<Profile, Fault> {
    if profile.sign_in().is_some() {
        return Ok(profile);
    }
    Err(Fault::usage(format!(
        "nobody signs in to {}: its token is from {}",
        profile.name(),
        profile.token_from()
    )))
}

/// Where the token is kept; it is of no use to sign in if that ends with this program.
pub(crate) fn place(profile: &Profile) -> Result<(Arc<dyn TokenStore>, StoreKey), Fault> {
    profile.store()?.ok_or_else(|| {
        Fault::usage(format!(
            "the profile {} keeps its token in memory only, where it would be lost; take `store = \"memory\"` out of it",
            profile.name()
        ))
    })
}

/// How long a renewal that is under way elsewhere may take to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
