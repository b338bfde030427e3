//! `keyfob man`: the manual pages.

use clap::Args;

use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;

/// Print a manual page
///
/// For instance: keyfob man request | man -l -
#[derive(Args)]
pub(crate) struct Man {
    /// The command to describe, such as `request` or `profile check`; without one, keyfob as a whole
    command: Vec<String>,
}

impl Man {
    pub(crate) fn run(self, mut whole: clap::Command) -> Result<ExitCode, CliError> {
        whole.build();
        let described = self
            .command
            .iter()
            .try_fold(whole, |described, name| page(&described, name))?;
        let mut roff = Vec::new();
        clap_mangen::Man::new(described)
            .render(&mut roff)
            .map_err(|fault| CliError::failed("the manual page cannot be made", &fault))?;
        print_stdout(roff)?;
        Ok(ExitCode::Done)
    }
}

fn page(whole: &clap::Command, name: &str) -> Result<clap::Command, CliError> {
    let found = whole.find_subcommand(name).ok_or_else(|| {
        CliError::usage(format!(
            "there is no command {name:?}; `keyfob --help` names them"
        ))
    })?;
    Ok(found.clone())
}
