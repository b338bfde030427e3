//! `keyfob completions`: what a shell needs to complete the command line.

use clap::Args;
use clap_complete::Shell;

use crate::exit::Exit;
use crate::fault::Fault;
use crate::print::print;

/// Print completions for a shell
///
/// For instance: keyfob completions bash > ~/.local/share/bash-completion/completions/keyfob
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell to complete in
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, mut described: clap::Command) -> Result<Exit, Fault> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut described, "keyfob", &mut script);
        print(script)?;
        Ok(Exit::Done)
    }
}
