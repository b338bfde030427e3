//! `keyfob profile list`: all profiles, one a line.

use clap::Args;
use keyfob::{Origin, Profile};

use crate::columns::columns;
use crate::exit::Exit;
use crate::fault::Fault;
use crate::print::print;
use crate::profile_options::ConfigOption;

/// Print all profiles: name, servers, and where the token comes from
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    config: ConfigOption,
}

impl List {
    pub(crate) fn run(self) -> Result<Exit, Fault> {
        let profiles = self.config.profiles()?;
        let rows: Vec<_> = profiles.iter().map(row).collect();
        print(columns(["PROFILE", "SERVERS", "TOKEN FROM"], &rows))?;
        Ok(Exit::Done)
    }
}

fn row(profile: &Profile) -> [String; 3] {
    let servers: Vec<_> = profile.origins().iter().map(Origin::to_string).collect();
    [
        profile.name().to_owned(),
        servers.join(","),
        profile.token_from(),
    ]
}
