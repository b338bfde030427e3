//! `keyfob man`: the manual pages.

use clap::Args;

use crate::exit::Exit;
use crate::fault::Fault;
use crate::print::print;

/// Print a manual page
///
/// For instance: keyfob man request | man -l -
#[derive(Args)]
pub(crate) struct Man {
    /// The command to describe, such as `request` or `profile check`; without one, keyfob as a whole
    command: Vec<String>,
}

impl Man {
    pub(crate) fn run(self, mut whole: clap::Command) -> Result<Exit, Fault> {
        whole.build();
        let described = self
            .command
            .iter()
            .try_fold(whole, |described, name| page(&described, name))?;
        let mut roff = Vec::new();
        clap_mangen::Man::new(described)
            .render(&mut roff)
            .map_err(|fault| Fault::because("the manual page cannot be made", &fault))?;
        print(roff)?;
        Ok(Exit::Done)
    }
}

fn page(whole: &clap::Command, name: &str) -> Result<clap::Command, Fault> {
    let found = whole.find_subcommand(name).ok_or_else(|| {
        Fault::usage(format!(
            "there is no command {name:?}; `keyfob --help` names them"
        ))
    })?;
    Ok(found.clone())
}
