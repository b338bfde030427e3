//! Which profile is meant, and from which file.

use std::path::PathBuf;

use clap::Args;
use keyfob::{Profile, Profiles};

use crate::output::error::CliError;

/// Where the profiles are.
#[derive(Args)]
pub(crate) struct ConfigOption {
    /// Read profiles from this file
    ///
    /// Without it the file that KEYFOB_CONFIG names is read, or else keyfob/keyfob.toml in the usual configuration
    /// directory, which is ~/.config unless XDG_CONFIG_HOME says otherwise.
    #[arg(long, value_name = "FILE", help_heading = "Profile")]
    config: Option<PathBuf>,
}

/// One profile.
#[derive(Args)]
pub(crate) struct ProfileOption {
    /// Do as this profile of keyfob.toml says
    #[arg(
        long,
        value_name = "NAME",
        group = "token_source",
        help_heading = "Profile"
    )]
    profile: Option<String>,
    #[command(flatten)]
    config: ConfigOption,
}

impl ConfigOption {
    pub(crate) fn profiles(&self) -> Result<Profiles, CliError> {
        let profiles = match &self.config {
            Some(path) => Profiles::from_file(path),
            None => Profiles::from_default_file(),
        };
        Ok(profiles?)
    }

    /// One profile by its name.
    pub(crate) fn profile(&self, name: &str) -> Result<Profile, CliError> {
        Ok(self.profiles()?.get(name)?.clone())
    }
}

impl ProfileOption {
    /// The profile that was named, if one was.
    pub(crate) fn named(&self) -> Result<Option<Profile>, CliError> {
        let name = self.profile.as_deref();
        name.map(|name| self.config.profile(name)).transpose()
    }

    pub(crate) fn profiles(&self) -> Result<Profiles, CliError> {
        self.config.profiles()
    }
}
