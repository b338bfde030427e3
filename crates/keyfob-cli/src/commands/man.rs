//! `keyfob man`: prints a manual page.

use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::Args;
use clap_mangen::roff::{Roff, roman};
use keyfob::error::shown_name;

use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::help::sections;
use crate::output::print::print_stdout;

/// Print a manual page
///
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
        root.build();
        if let Some(directory) = &self.directory {
            write_all(directory, &root, "").map_err(|error| {
                let place = directory.display();
                CliError::failed(
                    format!("the manual pages cannot be written to {place}"),
                    &error,
                )
            })?;
            return Ok(ExitCode::Done);
        }
        let command = self.command.iter().try_fold(&root, |command, name| {
            command.find_subcommand(name).ok_or_else(|| {
                CliError::usage(format!(
                    "there is no command {:?}; `keyfob --help` lists the commands",
                    shown_name(name)
                ))
            })
        })?;
        let page = page(command, &self.command.join(" "))
            .map_err(|error| CliError::failed("the manual page cannot be generated", &error))?;
        print_stdout(page)?;
        Ok(ExitCode::Done)
    }
}

/// Writes the page of a command, and those of all that are below it.
fn write_all(directory: &Path, command: &clap::Command, path: &str) -> io::Result<()> {
    let name = ["keyfob"].into_iter().chain(path.split_whitespace());
    let name = name.collect::<Vec<_>>().join("-");
    fs::write(directory.join(format!("{name}.1")), page(command, path)?)?;
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        let path = format!("{path} {}", below.get_name());
        write_all(directory, below, path.trim_start())?;
    }
    Ok(())
}

/// The page of a command: what `clap` knows of it, and our sections.
fn page(command: &clap::Command, path: &str) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    let mut rest = Roff::new();
    for section in sections(path) {
        rest.control("SH", [section.title.to_uppercase().as_str()]);
        rest.control("nf", []);
        for line in section.text.lines() {
            rest.text([roman(line)]);
        }
        rest.control("fi", []);
    }
    rest.to_writer(&mut page)?;
    Ok(page)
}
