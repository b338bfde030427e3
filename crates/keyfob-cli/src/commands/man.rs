//! `keyfob man`: prints a manual page.

use std::path::PathBuf;

use clap::Args;
use keyfob::error::shown_name;

use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;

/// Print a manual page
///
/// For example: keyfob man request | man -l -
#[derive(Args)]
pub(crate) struct Man {
    /// The command, such as `request` or `profile check`; without it, the page of keyfob itself
    command: Vec<String>,
    /// Write the pages of all commands into this directory, as packages install them
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    directory: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, root: clap::Command) -> Result<ExitCode, CliError> {
        // `keyfob help` says no more than the pages do.
        let mut root = root.disable_help_subcommand(true);
        if let Some(directory) = self.directory {
            clap_mangen::generate_to(root, &directory).map_err(|error| {
                let place = directory.display();
                CliError::failed(
                    format!("the manual pages cannot be written to {place}"),
                    &error,
                )
            })?;
            return Ok(ExitCode::Done);
        }
        root.build();
        let command = self
            .command
            .iter()
            .try_fold(root, |command, name| find_subcommand(&command, name))?;
        let mut roff = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut roff)
            .map_err(|error| CliError::failed("the manual page cannot be generated", &error))?;
        print_stdout(roff)?;
        Ok(ExitCode::Done)
    }
}

fn find_subcommand(command: &clap::Command, name: &str) -> Result<clap::Command, CliError> {
    let found = command.find_subcommand(name).ok_or_else(|| {
        CliError::usage(format!(
            "there is no command {:?}; `keyfob --help` lists the commands",
            shown_name(name)
        ))
    })?;
    Ok(found.clone())
}
