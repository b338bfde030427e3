//! `keyfob profile check`: what a profile says, and whether it works.

use std::error::Error as _;

use clap::Args;
use keyfob::profile::Finding;
use keyfob::{Origin, Profile};

use crate::exit::Exit;
use crate::fault::{Fault, with_causes};
use crate::print::print;
use crate::profile_options::ConfigOption;

/// Try a profile up to a new token, and say what works and what does not
///
/// Its secrets are read, and a new token is got from where it comes from. Nothing is sent to the servers that the
/// token is for. No secret is printed.
#[derive(Args)]
pub(crate) struct Check {
    /// The profile to try
    name: String,
    #[command(flatten)]
    config: ConfigOption,
}

impl Check {
    pub(crate) async fn run(self) -> Result<Exit, Fault> {
        let profiles = self.config.profiles()?;
        let profile = profiles.get(&self.name)?;
        print(format!("{} of {}\n", profile.name(), profiles.file()))?;
        print(format!(
            "ok      its token may go to {}\n",
            servers(profile)
        ))?;
        let findings = profile.check().await;
        for finding in &findings {
            print(line(finding))?;
        }
        let failed = findings.iter().find_map(|finding| finding.outcome().err());
        match failed {
            Some(error) => Err(Fault::quiet(Fault::from(error.clone()).exit())),
            None => Ok(Exit::Done),
        }
    }
}

fn servers(profile: &Profile) -> String {
    let servers: Vec<_> = profile.origins().iter().map(Origin::to_string).collect();
    servers.join(", ")
}

fn line(finding: &Finding) -> String {
    let what = finding.what();
    match finding.outcome() {
        Ok(found) => format!("ok      {what} {found}\n"),
        Err(error) => {
            let why = with_causes(error.to_string(), error.source());
            format!("failed  {what}: {why}\n")
        }
    }
}
