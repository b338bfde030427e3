//! `keyfob helper setup`: the configuration with which a program asks keyfob for credentials.

mod context;
mod files;
mod kubeconfig;
mod programs;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::commands::helper::setup::context::Context;
use crate::commands::helper::setup::files::Plan;
use crate::options::profile::ProfileOption;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::{print_notice, print_stdout};

/// Print or write the configuration with which a program asks keyfob
///
/// The configuration goes to standard output, and where it belongs to standard error. With --write, it is added to the program's own
/// file, which keeps everything else. A file that says something else about the same server is left as it is, and the command fails.
///
/// For example: keyfob helper setup git --profile work --write
#[derive(Args)]
pub(super) struct Setup {
    /// The program
    #[arg(value_enum)]
    program: HostProgram,
    /// The profile, as --profile NAME
    #[arg(group = "token_source")]
    name: Option<String>,
    #[command(flatten)]
    profile: ProfileOption,
    /// Write the configuration, and make the link that the program looks for
    #[arg(long)]
    write: bool,
    /// Make the link in this folder, which has to be in PATH [default: the folder of keyfob]
    #[arg(long, value_name = "FOLDER")]
    links: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HostProgram {
    Git,
    Docker,
    Terraform,
    Bazel,
    Cargo,
    Kubectl,
    Rclone,
    Curl,
}

impl Setup {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let context = Context::new(&self.profile, self.name.as_deref(), self.links.clone())?;
        let plan = match self.program {
            HostProgram::Git => programs::git(&context)?,
            HostProgram::Docker => programs::docker(&context)?,
            HostProgram::Terraform => programs::terraform(&context)?,
            HostProgram::Bazel => programs::bazel(&context)?,
            HostProgram::Cargo => programs::cargo(&context)?,
            HostProgram::Rclone => programs::rclone(&context)?,
            HostProgram::Kubectl => return kubeconfig::run(&context, self.write).await,
            HostProgram::Curl => return self.curl(&context),
        };
        match self.write {
            true => write(&plan, &context)?,
            false => show(&plan, &context)?,
        }
        Ok(ExitCode::Done)
    }

    /// curl has no configuration that fails without a token.
    fn curl(&self, context: &Context) -> Result<ExitCode, CliError> {
        if self.write {
            return Err(CliError::usage(
                "there is nothing to write for curl; run curl with the line that this command prints without --write",
            ));
        }
        let url = context.base_url()?;
        let words = context.command("curl", &[url]);
        print_stdout(format!("{} | curl --config -\n", shell_words::join(words)))?;
        Ok(ExitCode::Done)
    }
}

fn show(plan: &Plan, context: &Context) -> Result<(), CliError> {
    print_stdout(&plan.text)?;
    print_notice(format!("# for {}; --write adds it\n", plan.file.display()));
    if let Some(link) = &plan.link {
        let words = ["ln", "-s"].map(str::to_owned).into_iter();
        let paths = [&context.keyfob, link].map(|path| path.display().to_string());
        let line = shell_words::join(words.chain(paths));
        print_notice(format!("# and a link: {line}\n"));
    }
    Ok(())
}

fn write(plan: &Plan, context: &Context) -> Result<(), CliError> {
    let makes_link = match &plan.link {
        Some(link) => files::link_is_missing(link, &context.keyfob)?,
        None => false,
    };
    let is_new = files::merge(plan)?;
    let file = plan.file.display();
    print_notice(match is_new {
        true => format!("keyfob: added to {file}\n"),
        false => format!("keyfob: {file} has it already\n"),
    });
    if let (true, Some(link)) = (makes_link, &plan.link) {
        files::make_link(link, &context.keyfob)?;
        print_notice(format!("keyfob: made the link {}\n", link.display()));
    }
    Ok(())
}
