//! `keyfob completions`: prints a completion script for a shell.

use clap::Args;
use clap::builder::PossibleValuesParser;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;
use keyfob::Profiles;

use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;

/// Print completions for a shell, also of the names of profiles
///
/// The script asks keyfob each time what could follow.
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_parser = PossibleValuesParser::new(Shells::builtins().names()))]
    shell: String,
}

impl Completions {
    /// The variable with which the script asks.
    pub(crate) const VARIABLE: &str = "KEYFOB_COMPLETE";

    pub(crate) fn run(self) -> Result<ExitCode, CliError> {
        let shells = Shells::builtins();
        let shell = shells
            .completer(&self.shell)
            .expect("the parser knows the shells");
        let mut script = Vec::new();
        // By its name, so that the script stays right if the program moves.
        shell
            .write_registration(Self::VARIABLE, "keyfob", "keyfob", "keyfob", &mut script)
            .map_err(|error| CliError::failed("the completions cannot be generated", &error))?;
        print_stdout(script)?;
        Ok(ExitCode::Done)
    }
}

/// Lets a command, and all that are below it, complete the names of profiles.
pub(crate) fn with_profile_names(command: clap::Command) -> clap::Command {
    // There it is the name of a new profile.
    let adds = command.get_name() == "add";
    let command = command.mut_args(|argument| {
        let is_option = argument.get_long() == Some("profile");
        let id = argument.get_id().as_str();
        let is_argument = argument.is_positional() && ["name", "from", "to"].contains(&id);
        match is_option || is_argument && !adds {
            true => argument.add(ArgValueCandidates::new(profile_names)),
            false => argument,
        }
    });
    command.mut_subcommands(with_profile_names)
}

/// The profiles of the default file; none if it cannot be read.
fn profile_names() -> Vec<CompletionCandidate> {
    let profiles = Profiles::from_default_file();
    let profiles = profiles.iter().flat_map(Profiles::iter);
    profiles
        .map(|profile| {
            let servers: Vec<_> = profile.origins().iter().map(ToString::to_string).collect();
            CompletionCandidate::new(profile.name()).help(Some(servers.join(" ").into()))
        })
        .collect()
}
