//! `keyfob run`: runs a program that needs a token.

mod child;
mod environment;
mod options;
mod proxy;
#[cfg(unix)]
mod signals;

use clap::Args;

use crate::commands::run::environment::Environment;
use crate::commands::run::options::RunOptions;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;

/// Run a program with a token, or with a stand-in for one
///
/// The token goes into the variables that the profile names with `env`, or that --env names. The program can read it, and keyfob cannot
/// renew it there. Without a token, the program is not started. With --proxy, the program sees no token.
///
/// No shell is run. Signals are passed on, and keyfob ends with the exit code of the program, or with 128 + n if signal n ended it.
#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    options: RunOptions,
}

impl Run {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        let environment = Environment::new(&self.options)?;
        match self.options.proxy {
            true => proxy::run(&environment, &self.options).await,
            false => environment.run(&self.options).await,
        }
    }
}
