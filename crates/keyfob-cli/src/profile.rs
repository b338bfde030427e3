//! `keyfob profile`: what the profiles of keyfob.toml are, and whether they work.

mod check;
mod list;

use clap::{Args, Subcommand};

use crate::exit::{Exit, table};
use crate::fault::Fault;
use crate::profile::check::Check;
use crate::profile::list::List;

/// Show the profiles of keyfob.toml, or try one
#[derive(Args)]
#[command(after_long_help = table())]
pub(crate) struct ProfileCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(List),
    Check(Check),
}

impl ProfileCommand {
    pub(crate) async fn run(self) -> Result<Exit, Fault> {
        match self.command {
            Command::List(list) => list.run(),
            Command::Check(check) => check.run().await,
        }
    }
}
