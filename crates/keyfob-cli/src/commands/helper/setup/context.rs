//! What every configuration is made from.

use std::env;
use std::path::{Path, PathBuf};

use keyfob::Profile;

use crate::options::profile::ProfileOption;
use crate::output::error::CliError;

/// A profile, and this program.
pub(super) struct Context {
    pub(super) profile: Profile,
    /// The path of this program.
    pub(super) keyfob: PathBuf,
    pub(super) links: PathBuf,
    /// The options that name the file of the profile.
    pub(super) config: Vec<String>,
    /// Whether the server alone says which profile it is.
    is_only: bool,
}

impl Context {
    /// `links` is the folder for links, if the user has named one.
    pub(super) fn new(
        options: &ProfileOption,
        name: Option<&str>,
        links: Option<PathBuf>,
    ) -> Result<Self, CliError> {
        let profile = options.named(name)?.ok_or_else(|| {
            CliError::usage("give the profile with --profile; `keyfob profile list` names them")
        })?;
        profile.require_server()?;
        let profiles = options.profiles()?;
        let is_only = profile.origins().iter().all(|origin| {
            let url = origin.to_string().parse().ok();
            let found = url.and_then(|url| profiles.matching(&url).ok().flatten());
            found.is_some_and(|found| found.name() == profile.name())
        });
        let keyfob = env::current_exe()
            .map_err(|error| CliError::failed("the path of keyfob cannot be found", &error))?;
        let folder = keyfob.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self {
            profile,
            links: links.unwrap_or(folder),
            keyfob,
            config: options.config_arguments(),
            is_only,
        })
    }

    /// The words with which a program runs keyfob as its helper.
    pub(super) fn command(&self, program: &str, more: &[&str]) -> Vec<String> {
        let mut words = vec![self.keyfob.display().to_string()];
        words.extend(["helper".to_owned(), program.to_owned()]);
        words.extend(["--profile".to_owned(), self.profile.name().to_owned()]);
        words.extend_from_slice(&self.config);
        words.extend(more.iter().map(|word| (*word).to_owned()));
        words
    }

    /// The name of a link for a program that passes no options. It names the profile if the server does not decide.
    pub(super) fn link(&self, prefix: &str) -> Result<String, CliError> {
        if !self.config.is_empty() {
            return Err(CliError::usage(
                "this program passes no options to its helper; set KEYFOB_CONFIG in place of --config, and `ca_file` or \
                 `client_certificate` in the profile",
            ));
        }
        Ok(match self.is_only {
            true => prefix.to_owned(),
            false => format!("{prefix}-{}", self.profile.name()),
        })
    }

    pub(super) fn base_url(&self) -> Result<&str, CliError> {
        let url = self.profile.base_url().ok_or_else(|| {
            CliError::usage(format!(
                "the profile {} has no base_url, which has to be the URL for this program",
                self.profile.name()
            ))
        })?;
        Ok(url.as_str())
    }

    /// The hosts of the profile's origins over https, each with its port if that is not the usual one.
    pub(super) fn hosts(&self) -> Result<Vec<String>, CliError> {
        let origins = self.profile.origins().iter().map(ToString::to_string);
        let hosts: Vec<_> = origins
            .filter_map(|origin| Some(origin.strip_prefix("https://")?.to_owned()))
            .collect();
        match hosts.is_empty() {
            true => Err(CliError::usage(format!(
                "the profile {} has no origin with https, which this program needs",
                self.profile.name()
            ))),
            false => Ok(hosts),
        }
    }
}
