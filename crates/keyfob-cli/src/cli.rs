//! The commands, and what holds for all of them.

use clap::{CommandFactory, Parser, Subcommand};

use crate::completions::Completions;
use crate::demo::Demo;
use crate::exit::{Exit, table};
use crate::fault::Fault;
use crate::forget::Forget;
use crate::login::Login;
use crate::logout::Logout;
use crate::man::Man;
use crate::profile::ProfileCommand;
use crate::request::Request;
use crate::status::Status;
use crate::token::PrintToken;

/// HTTP requests that stay authenticated.
///
/// keyfob takes a token from a command, an environment variable, a file or a profile of keyfob.toml, keeps it fresh, puts it on the
/// requests that may carry it and on no others, retries what is safe to retry, and never prints it unless asked to.
#[derive(Parser)]
#[command(name = "keyfob", version, after_long_help = table())]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Request(Box<Request>),
    Token(PrintToken),
    Profile(ProfileCommand),
    Login(Login),
    Logout(Logout),
    Status(Status),
    Forget(Forget),
    Demo(Demo),
    Completions(Completions),
    Man(Man),
}

impl Cli {
    pub(crate) async fn run(self) -> Result<Exit, Fault> {
        match self.command {
            Command::Request(request) => request.run().await,
            Command::Token(token) => token.run().await,
            Command::Profile(profile) => profile.run().await,
            Command::Login(login) => login.run().await,
            Command::Logout(logout) => logout.run().await,
            Command::Status(status) => status.run().await,
            Command::Forget(forget) => forget.run().await,
            Command::Demo(demo) => demo.run().await,
            Command::Completions(completions) => completions.run(Self::command()),
            Command::Man(man) => man.run(Self::command()),
        }
    }

    /// Whether nothing shall be said of a failure.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(&self.command, Command::Request(request) if request.silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_and_options_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
