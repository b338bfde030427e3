//! `keyfob completions`: prints a completion script for a shell.

use clap::Args;
use clap_complete::Shell;

use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;

/// Print completions for a shell
///
/// For example: keyfob completions bash > ~/.local/share/bash-completion/completions/keyfob
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, mut command: clap::Command) -> Result<ExitCode, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "keyfob", &mut script);
        print_stdout(script)?;
        Ok(ExitCode::Done)
    }
}
