//! The environment of the program: which variables get the token of which profile, and which it must not see.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::process::Command;
use std::time::SystemTime;

use keyfob::cache::Lease;
use keyfob::{Profile, Profiles};

use crate::commands::run::child::Child;
use crate::commands::run::options::RunOptions;
use crate::options::min_valid::time_left;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::{print_notice, print_stderr};
use crate::output::span::span;

/// The profiles of a run, and the variables for each.
pub(super) struct Environment {
    profiles: Profiles,
    /// The profile of each variable.
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// Reads the profiles. Fails for a variable that has two profiles, and for a profile without one.
    pub(super) fn new(run: &RunOptions) -> Result<Self, CliError> {
        let mut environment = Self {
            profiles: run.config.profiles()?,
            variables: BTreeMap::new(),
        };
        for (variable, name) in &run.env {
            environment.set(variable, name)?;
        }
        for name in &run.profile {
            for variable in environment.profiles.get(name)?.clone().variables() {
                environment.set(variable, name)?;
            }
            let is_seen = environment.variables.values().any(|other| other == name);
            // Behind the proxy, a program needs no stand-in.
            if !is_seen && !run.proxy {
                return Err(CliError::usage(format!(
                    "the profile {name} names no variable for its token; add `env = \"API_TOKEN\"` to it, or give --env API_TOKEN={name}"
                )));
            }
        }
        Ok(environment)
    }

    fn set(&mut self, variable: &str, name: &str) -> Result<(), CliError> {
        let name = self.profiles.get(name)?.name().to_owned();
        match self.variables.insert(variable.to_owned(), name.clone()) {
            Some(other) if other != name => Err(CliError::usage(format!(
                "{variable} would have the tokens of two profiles, {other} and {name}; leave one out, or give it another variable with --env"
            ))),
            _ => Ok(()),
        }
    }

    /// The profiles of the run, each once.
    pub(super) fn chosen(&self, run: &RunOptions) -> Result<Vec<Profile>, CliError> {
        let names: BTreeSet<_> = run.profile.iter().chain(self.variables.values()).collect();
        let names = names.into_iter();
        names.map(|name| self.profile(name, run)).collect()
    }

    /// The profile of this name, for the user that the run names.
    fn profile(&self, name: &str, run: &RunOptions) -> Result<Profile, CliError> {
        run.subject.of(self.profiles.get(name)?.clone())
    }

    /// Each variable and its profile.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&String, &String)> {
        self.variables.iter()
    }

    /// Runs the program with the tokens in its environment.
    pub(super) async fn run(&self, run: &RunOptions) -> Result<ExitCode, CliError> {
        let mut leases = BTreeMap::new();
        for name in self.variables.values() {
            if !leases.contains_key(name) {
                let profile = self.profile(name, run)?;
                let (tokens, stored) = (profile.tokens()?, run.min_valid.stored(&profile).await?);
                let lease = tokens.lease(None).await?;
                let lease = run
                    .min_valid
                    .valid_enough(lease, &tokens, stored.as_ref())
                    .await?;
                leases.insert(name, lease);
            }
        }
        for (variable, name) in &self.variables {
            print_notice(notice(variable, name, &leases[name]));
        }
        let mut child = Child::start(&run.command, |command| {
            self.hide_secrets(command);
            for (variable, name) in &self.variables {
                command.env(variable, leases[name].token().expose());
            }
        })?;
        let first_expiry = leases.values().filter_map(Lease::expires_at).min();
        let ending = tokio::select! {
            biased;
            ending = child.ended() => ending,
            () = expiry(first_expiry) => outlived(&mut child).await,
        };
        Ok(ending)
    }

    /// Removes what the program must not see: keyfob's own variables, and those that secrets of profiles are read from.
    pub(super) fn hide_secrets(&self, command: &mut Command) {
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("KEYFOB_") {
                command.env_remove(name);
            }
        }
        for variable in self.profiles.iter().flat_map(Profile::secret_variables) {
            command.env_remove(variable);
        }
    }
}

fn notice(variable: &str, profile: &str, lease: &Lease) -> String {
    let until = match time_left(lease) {
        Some(left) => format!("expires in {}", span(left)),
        None => "has no known expiry".to_owned(),
    };
    format!(
        "keyfob: the program can read the token of the profile {profile} in {variable}; the token {until}\n"
    )
}

/// Waits until the wall clock shows this time.
async fn expiry(time: Option<SystemTime>) {
    let Some(time) = time else {
        return std::future::pending().await;
    };
    let left = time.duration_since(SystemTime::now()).unwrap_or_default();
    tokio::time::sleep(left).await;
}

async fn outlived(child: &mut Child) -> ExitCode {
    print_stderr(
        "keyfob: a token has expired while the program runs, and keyfob cannot renew it in there; for programs that run long, give --proxy\n",
    );
    child.ended().await
}
