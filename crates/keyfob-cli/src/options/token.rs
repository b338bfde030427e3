//! The options that say where the token comes from.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use keyfob::{
    ClientCertificate, CommandToken, EnvToken, FileToken, Profile, TokenCache, TokenSource,
};
use url::Url;

use crate::options::profile::{ProfileOption, SubjectOption};
use crate::output::error::{CliError, with_causes};

/// The options for exactly one source of the token.
#[derive(Args)]
#[command(next_help_heading = "Token, from exactly one of")]
pub(crate) struct TokenOptions {
    /// Run this command each time a token is needed, and use the token that it prints
    ///
    /// The text is split into words as a shell does, but no shell is run. The command may print the token alone, or in the format
    /// of a credential helper of Bazel, Cargo, Docker, git, Kubernetes or Terraform, of the Azure CLI, or of OAuth 2.0.
    /// Without an option for the token, KEYFOB_TOKEN_COMMAND is read.
    #[arg(long, value_name = "COMMAND", group = "token_source")]
    token_command: Option<String>,
    /// Take the token from this environment variable
    ///
    /// Without an option for the token, KEYFOB_TOKEN is read. There is no option that takes the token itself: every user of the
    /// machine could read it in the list of processes, and it would stay in the shell's history.
    #[arg(long, value_name = "VARIABLE", group = "token_source")]
    token_env: Option<OsString>,
    /// Take the token from this file, and read it again when it changes
    ///
    /// Without an option for the token, KEYFOB_TOKEN_FILE is read.
    #[arg(long, value_name = "FILE", group = "token_source")]
    token_file: Option<PathBuf>,
    /// How long the command, variable or file may take to give the token, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    token_timeout: Duration,
    #[command(flatten)]
    profile: ProfileOption,
    #[command(flatten)]
    subject: SubjectOption,
}

/// The source of the token.
pub(crate) enum TokenChoice {
    Profile(Profile),
    Cache(TokenCache),
}

impl TokenChoice {
    pub(crate) fn tokens(&self) -> Result<TokenCache, CliError> {
        match self {
            Self::Profile(profile) => Ok(profile.tokens()?),
            Self::Cache(tokens) => Ok(tokens.clone()),
        }
    }
}

impl TokenOptions {
    /// The profile that the option names, if it is given.
    pub(crate) fn named_profile(&self) -> Result<Option<Profile>, CliError> {
        self.profile_of(None)
    }

    /// The profile of this argument or of the option, for the user that `--subject` names.
    fn profile_of(&self, argument: Option<&str>) -> Result<Option<Profile>, CliError> {
        let named = self.profile.named(argument)?;
        named.map(|profile| self.subject.of(profile)).transpose()
    }

    /// The file with the certificate authorities that are trusted in place of the system's.
    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.profile.ca_file()
    }

    /// The client certificate that the options name, if they are given.
    pub(crate) fn certificate(&self) -> Result<Option<ClientCertificate>, CliError> {
        self.profile.certificate()
    }

    /// The file, the certificate authorities and the user as arguments, for a command that a person can run.
    pub(crate) fn config_arguments(&self) -> Vec<String> {
        let mut arguments = self.profile.config_arguments();
        arguments.extend(self.subject.arguments());
        arguments
    }

    /// The source that the options or the environment name.
    ///
    /// `argument` is the name of a profile that was given without an option.
    pub(crate) fn choose(&self, argument: Option<&str>) -> Result<TokenChoice, CliError> {
        match self.profile_of(argument)? {
            Some(profile) => Ok(TokenChoice::Profile(profile)),
            None => self.cache().map(TokenChoice::Cache),
        }
    }

    /// The source for a request. Without an option, it is the profile that fits the URL.
    ///
    /// A profile takes precedence over the environment, because the environment does not say which servers its token is for.
    pub(crate) fn choose_for(
        &self,
        named: Option<Profile>,
        url: &Url,
    ) -> Result<TokenChoice, CliError> {
        if let Some(profile) = named {
            return Ok(TokenChoice::Profile(profile));
        }
        if !self.names_a_source()
            && let Some(profile) = self.profile.profiles()?.matching(url)?
        {
            return Ok(TokenChoice::Profile(self.subject.of(profile.clone())?));
        }
        self.cache().map(TokenChoice::Cache)
    }

    fn names_a_source(&self) -> bool {
        self.token_command.is_some() || self.token_env.is_some() || self.token_file.is_some()
    }

    /// A cache of the named source. Nothing is fetched yet.
    fn cache(&self) -> Result<TokenCache, CliError> {
        self.subject.require_none()?;
        let timeout = self.token_timeout;
        let cache = TokenCache::builder(self.source()?)
            // One second more than the command's own timeout, whose error names the command.
            .fetch_timeout(timeout + Duration::from_secs(1))
            .build()?;
        Ok(cache)
    }

    fn source(&self) -> Result<Box<dyn TokenSource>, CliError> {
        let timeout = self.token_timeout;
        match (&self.token_command, &self.token_env, &self.token_file) {
            (Some(line), _, _) => command("--token-command", line, timeout),
            (_, Some(variable), _) => named_variable(variable),
            (_, _, Some(path)) => named_file(path),
            (None, None, None) => from_environment(timeout),
        }
    }
}

/// The variable of `--token-env`. An error that quoted a token which was given instead of a name would put it into logs.
fn named_variable(name: &OsStr) -> Result<Box<dyn TokenSource>, CliError> {
    let is_usual = name.to_str().is_some_and(|name| {
        let one_case = name == name.to_ascii_uppercase()
            || !name.contains(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        let starts_as_a_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        one_case && starts_as_a_name && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    });
    if is_usual || env::var_os(name).is_some() {
        return Ok(Box::new(EnvToken::new(name)));
    }
    Err(CliError::usage(
        "the environment variable that --token-env names is not set; give the name of a variable, such as API_TOKEN, and not the token",
    ))
}

/// The file of `--token-file`.
fn named_file(path: &Path) -> Result<Box<dyn TokenSource>, CliError> {
    let is_bare = path
        .parent()
        .is_some_and(|parent| parent.as_os_str().is_empty());
    if is_bare && path.as_os_str().len() >= SHORTEST_TOKEN && !path.exists() {
        return Err(CliError::usage(
            "the file that --token-file names does not exist; give the path of a file, such as ./token, and not the token",
        ));
    }
    Ok(Box::new(FileToken::new(path)))
}

fn from_environment(timeout: Duration) -> Result<Box<dyn TokenSource>, CliError> {
    match VARIABLES.map(|name| env::var_os(name).filter(|value| !value.is_empty())) {
        [Some(line), None, None] => {
            let line = line.to_str().ok_or_else(|| {
                CliError::usage(
                    "KEYFOB_TOKEN_COMMAND is not text; set it to a program and its arguments",
                )
            })?;
            command("KEYFOB_TOKEN_COMMAND", line, timeout)
        }
        [None, Some(_), None] => Ok(Box::new(EnvToken::new("KEYFOB_TOKEN"))),
        [None, None, Some(path)] => Ok(Box::new(FileToken::new(PathBuf::from(path)))),
        [None, None, None] => Err(CliError::usage(
            "there is no token; name a profile with --profile or a source with --token-command, --token-env or \
             --token-file, or set KEYFOB_TOKEN_COMMAND, KEYFOB_TOKEN or KEYFOB_TOKEN_FILE",
        )),
        _ => Err(CliError::usage(
            "more than one of KEYFOB_TOKEN_COMMAND, KEYFOB_TOKEN and KEYFOB_TOKEN_FILE is set; \
             unset all but one, or name the source with --token-command, --token-env or --token-file",
        )),
    }
}

fn command(origin: &str, line: &str, timeout: Duration) -> Result<Box<dyn TokenSource>, CliError> {
    // Errors do not quote the command, because people put secrets there.
    let words = shell_words::split(line).map_err(|error| {
        CliError::usage(with_causes(
            format!("{origin} cannot be split into words; close its quotes"),
            Some(&error),
        ))
    })?;
    let source = CommandToken::new(words)
        .map_err(|error| CliError::usage(format!("{origin} cannot be used: {error}")))?;
    Ok(Box::new(source.timeout(timeout)))
}

/// Reads a number of seconds, such as `1.5`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| !time.is_zero() && *time <= MAX_SECONDS)
        .ok_or_else(|| {
            "give a number of seconds above 0 and at most a year (31536000), such as 1.5".to_owned()
        })
}

/// A name of a file in the current directory that is at least as long as this is not quoted if the file does not exist.
const SHORTEST_TOKEN: usize = 16;

const VARIABLES: [&str; 3] = ["KEYFOB_TOKEN_COMMAND", "KEYFOB_TOKEN", "KEYFOB_TOKEN_FILE"];

/// A year.
const MAX_SECONDS: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_above_zero_and_finite() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(seconds("31536000"), Ok(MAX_SECONDS));
        for text in ["0", "-1", "nan", "inf", "1e300", "31536001", "", "1s"] {
            let error = seconds(text).unwrap_err();
            assert!(error.contains("above 0 and at most a year (31536000)"));
        }
    }
}
