//! The options that name a profile and the file that it is in.

use std::path::{Path, PathBuf};

use clap::Args;
use keyfob::error::shown_name;
use keyfob::pool::PoolKey;
use keyfob::{ClientCertificate, Profile, Profiles};

use crate::output::error::CliError;
use crate::profile_file;

/// The option that names the file with the profiles.
#[derive(Args)]
pub(crate) struct ConfigOption {
    /// Read profiles from this file
    ///
    /// Without it, keyfob reads the file that KEYFOB_CONFIG names, or else keyfob/keyfob.toml in the configuration directory:
    /// XDG_CONFIG_HOME, or else ~/.config.
    #[arg(long, value_name = "FILE", help_heading = "Profile")]
    config: Option<PathBuf>,
    /// Trust the certificate authorities in this file (PEM) and no others
    ///
    /// It applies to the server of the request and to the server that issues the token. A profile has a key for it, ca_file, which
    /// this option replaces. Without both, keyfob trusts the authorities of the system, or those in the file that SSL_CERT_FILE
    /// names.
    #[arg(long, value_name = "FILE", help_heading = "Profile")]
    cacert: Option<PathBuf>,
    /// Present the client certificate in this file (PEM) to servers that ask for one
    ///
    /// It applies to the server of the request and to the server that issues the token. A profile has a key for it,
    /// client_certificate, which this option replaces. The file may also have the private key.
    #[arg(long, short_alias = 'E', value_name = "FILE", help_heading = "Profile")]
    cert: Option<PathBuf>,
    /// Read the private key of --cert from this file (PEM)
    ///
    /// For an encrypted key, name the passphrase in a profile: client_certificate.key_passphrase.
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "Profile")]
    key: Option<PathBuf>,
}

/// The option that names one of the users of a profile.
#[derive(Args)]
pub(crate) struct SubjectOption {
    /// Use the token of this user, for a profile that has a token for each
    ///
    /// These are profiles with a sign-in, with the grant jwt_bearer and a private key, and with the grant token_exchange whose
    /// subject_token names a profile with subjects. Each user has a sign-in and a stored token of their own.
    #[arg(long, value_name = "SUBJECT", help_heading = "Profile")]
    subject: Option<String>,
}

impl SubjectOption {
    /// The profile for this user, or the profile as it is if the option is not given.
    pub(crate) fn of(&self, profile: Profile) -> Result<Profile, CliError> {
        match self.key()? {
            Some(key) => Ok(profile.for_key(&key)?),
            None => Ok(profile),
        }
    }

    pub(crate) fn key(&self) -> Result<Option<PoolKey>, CliError> {
        let key = self.subject.as_deref().map(PoolKey::new);
        Ok(key.transpose()?)
    }

    /// Fails if the option is given where no profile is.
    pub(crate) fn require_none(&self) -> Result<(), CliError> {
        match self.subject {
            Some(_) => Err(CliError::usage(
                "--subject names a user of a profile, and there is no profile here; name one with --profile",
            )),
            None => Ok(()),
        }
    }

    /// The option as arguments, for a command that a person can run.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = String> {
        let subject = self.subject.iter();
        subject.flat_map(|subject| ["--subject".to_owned(), subject.clone()])
    }
}

/// The option that names a profile.
#[derive(Args)]
pub(crate) struct ProfileOption {
    /// Use the token and the settings of this profile in keyfob.toml
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

/// A profile by its name: the argument NAME or the option `--profile`.
#[derive(Args)]
pub(crate) struct NamedProfile {
    /// The profile
    name: Option<String>,
    /// The same as NAME
    #[arg(long, value_name = "NAME", help_heading = "Profile")]
    profile: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigOption,
}

impl NamedProfile {
    /// The argument, which may be something else than a name.
    pub(crate) fn argument(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The name that the option `--profile` gives.
    pub(crate) fn option(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The name, if one is given.
    pub(crate) fn name(&self) -> Result<Option<&str>, CliError> {
        match (self.argument(), self.option()) {
            (Some(_), Some(_)) => Err(CliError::usage(
                "the profile is named twice; omit --profile or the name before it",
            )),
            (argument, option) => Ok(argument.or(option)),
        }
    }

    /// The profile of the name, which has to be given.
    pub(crate) fn profile(&self) -> Result<Profile, CliError> {
        let name = self.name()?;
        let name = name.ok_or_else(|| {
            CliError::usage("no profile is named; give its NAME, and `keyfob profile list` prints those that there are")
        })?;
        self.config.profile(name)
    }
}

impl ConfigOption {
    pub(crate) fn profiles(&self) -> Result<Profiles, CliError> {
        let profiles = match &self.config {
            Some(path) => Profiles::from_file(path),
            None => Profiles::from_default_file(),
        };
        let profiles = profiles?;
        let profiles = match &self.cacert {
            Some(path) => profiles.with_ca_file(path),
            None => profiles,
        };
        Ok(match self.certificate()? {
            Some(certificate) => profiles.with_client_certificate(&certificate),
            None => profiles,
        })
    }

    /// The profiles of the file that a profile is to be added to, which may be missing.
    pub(crate) fn profiles_so_far(&self) -> Result<Profiles, CliError> {
        let path = self.config.clone().or_else(Profiles::default_file);
        match path.map(|path| path.try_exists()) {
            Some(Ok(false)) => Ok(Profiles::from_text("")?),
            _ => self.profiles(),
        }
    }

    /// The client certificate that the options name, if they are given.
    fn certificate(&self) -> Result<Option<ClientCertificate>, CliError> {
        let read = |file| {
            let key = self.key.as_ref().unwrap_or(file);
            ClientCertificate::from_files(file, key)
        };
        Ok(self.cert.as_ref().map(read).transpose()?)
    }

    /// Adds a profile to the file; see [`profile_file::append`].
    pub(crate) fn append(&self, name: &str, toml: &str) -> Result<PathBuf, CliError> {
        profile_file::append(self.config.as_deref(), name, toml)
    }

    /// Changes a profile in the file; see [`profile_file::edit`].
    pub(crate) fn edit(
        &self,
        name: &str,
        change: impl FnOnce(String) -> Result<String, CliError>,
    ) -> Result<PathBuf, CliError> {
        profile_file::edit(self.config.as_deref(), name, |_, text| change(text))
    }

    /// The file with the certificate authorities that are trusted in place of the system's.
    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.cacert.as_deref()
    }

    /// These options as arguments, for a command that a person can run.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let options = [
            ("--config", &self.config),
            ("--cacert", &self.cacert),
            ("--cert", &self.cert),
            ("--key", &self.key),
        ];
        let given = options
            .into_iter()
            .filter_map(|(option, path)| Some((option, path.as_ref()?)));
        given
            .flat_map(|(option, path)| [option.to_owned(), path.display().to_string()])
            .collect()
    }

    /// The profile of this name.
    pub(crate) fn profile(&self, name: &str) -> Result<Profile, CliError> {
        let profiles = self.profiles()?;
        match (profiles.get(name), no_profile(&profiles)) {
            (Ok(profile), _) => Ok(profile.clone()),
            (Err(_), Some(hint)) => Err(CliError::usage(format!(
                "there is no profile {:?}: {hint}",
                shown_name(name)
            ))),
            (Err(error), None) => Err(error.into()),
        }
    }
}

impl ProfileOption {
    /// The profile that the option names, if it is given.
    pub(crate) fn named(&self, argument: Option<&str>) -> Result<Option<Profile>, CliError> {
        let name = argument.or(self.profile.as_deref());
        name.map(|name| self.config.profile(name)).transpose()
    }

    /// The file with the certificate authorities that are trusted in place of the system's.
    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.config.ca_file()
    }

    /// The client certificate that the options name, if they are given.
    pub(crate) fn certificate(&self) -> Result<Option<ClientCertificate>, CliError> {
        self.config.certificate()
    }

    pub(crate) fn profiles(&self) -> Result<Profiles, CliError> {
        self.config.profiles()
    }

    /// The file and the certificate authorities as arguments, for a command that a person can run.
    pub(crate) fn config_arguments(&self) -> Vec<String> {
        self.config.arguments()
    }
}

/// What to do when there is no profile; `None` if there is one.
pub(crate) fn no_profile(profiles: &Profiles) -> Option<String> {
    if profiles.iter().next().is_some() {
        return None;
    }
    let file = profiles.file();
    let why = match Path::new(file).exists() {
        true => "has no profile",
        false => "does not exist",
    };
    Some(format!("{file} {why}; `keyfob profile add NAME` adds one"))
}
