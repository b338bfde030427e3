//! `keyfob profile`: lists the profiles of keyfob.toml, checks whether one works, and adds one.

mod add;
mod findings;

use clap::{Args, Subcommand};
use keyfob::{Origin, Profile, Profiles};
use serde_json::{Value, json};

use crate::commands::profile::add::Add;
use crate::commands::profile::findings::{exit, report, step};
use crate::options::profile::{ConfigOption, NamedProfile, no_profile};
use crate::output::columns::columns;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::json::{JsonOption, print_json};
use crate::output::print::{print_hint, print_stdout};

/// List the profiles of keyfob.toml, check one, or add one
#[derive(Args)]
pub(crate) struct ProfileCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(List),
    Check(Check),
    Add(Box<Add>),
    Schema(Schema),
}

/// Print all profiles: name, servers, and where the token comes from
#[derive(Args)]
struct List {
    #[command(flatten)]
    json: JsonOption,
    #[command(flatten)]
    config: ConfigOption,
}

/// Check that a profile works, up to a new token
///
/// Reads its secrets and gets a new token from its source. Sends nothing to the servers that the token is for, and prints no
/// secret.
#[derive(Args)]
struct Check {
    #[command(flatten)]
    json: JsonOption,
    #[command(flatten)]
    named: NamedProfile,
}

/// Print the JSON Schema of keyfob.toml, with which editors complete and check the file
///
/// Name its file in the first line of keyfob.toml: `#:schema /path/of/the/schema.json`. Taplo and the extension Even Better TOML read
/// that line.
#[derive(Args)]
struct Schema {}

impl ProfileCommand {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        match self.command {
            Command::List(list) => list.run(),
            Command::Check(check) => check.run().await,
            Command::Add(add) => add.run().await,
            Command::Schema(_) => {
                print_stdout(Profiles::json_schema())?;
                Ok(ExitCode::Done)
            }
        }
    }
}

impl List {
    fn run(self) -> Result<ExitCode, CliError> {
        let profiles = self.config.profiles()?;
        if self.json.json {
            let list: Vec<_> = profiles.iter().map(fields).collect();
            print_json(&json!({"file": profiles.file(), "profiles": list}))?;
            return Ok(ExitCode::Done);
        }
        if let Some(hint) = no_profile(&profiles) {
            print_hint(hint);
        }
        let rows: Vec<_> = profiles.iter().map(row).collect();
        print_stdout(columns(["PROFILE", "SERVERS", "TOKEN FROM"], &rows))?;
        Ok(ExitCode::Done)
    }
}

impl Check {
    async fn run(self) -> Result<ExitCode, CliError> {
        let profile = self.named.profile()?;
        let profiles = self.named.config.profiles()?;
        let (name, file) = (profile.name(), profiles.file());
        if self.json.json {
            let findings = profile.check().await;
            let steps: Vec<_> = findings.iter().map(step).collect();
            print_json(&json!({"profile": name, "file": file, "steps": steps}))?;
            return exit(&findings);
        }
        print_stdout(format!("{name} of {file}\n"))?;
        report(&profile.check().await)
    }
}

/// The fields that a program reads.
fn fields(profile: &Profile) -> Value {
    let servers: Vec<_> = profile.origins().iter().map(Origin::to_string).collect();
    json!({"name": profile.name(), "servers": servers, "token_from": profile.token_from()})
}

fn row(profile: &Profile) -> [String; 3] {
    [
        profile.name().to_owned(),
        servers(profile),
        profile.token_from(),
    ]
}

fn servers(profile: &Profile) -> String {
    let servers: Vec<_> = profile.origins().iter().map(Origin::to_string).collect();
    servers.join(",")
}
