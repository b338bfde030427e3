//! `keyfob profile add`: writes a profile, from options or from answers to questions.

use std::io::{IsTerminal, stderr, stdin};

use clap::Args;
use keyfob::Profile;
use keyfob::profile::{NewProfile, Question};

use crate::commands::profile::findings::report;
use crate::options::profile::ConfigOption;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::{print_stderr, print_stdout};

/// Add a profile to keyfob.toml, and check that it works
///
/// Asks for missing keys, if there is a terminal. The profile is appended to the file, with a comment about each key; the rest of
/// the file stays as it is. A missing file is made for you alone.
///
/// No secret is asked for, because none may be in the file. Give the place where it is: file:/path, env:NAME,
/// command:program argument, or keyring:service/user.
#[derive(Args)]
#[command(after_help = kinds())]
pub(super) struct Add {
    /// The name of the new profile
    name: String,
    /// The OAuth 2.0 grant that gets the token
    #[arg(long, value_name = "GRANT", group = "kind")]
    grant: Option<String>,
    /// The platform whose token it is
    #[arg(long, value_name = "PRESET", group = "kind")]
    preset: Option<String>,
    /// The place that has the token, such as `command:gh auth token`
    #[arg(long, value_name = "REFERENCE", group = "kind")]
    source: Option<String>,
    /// The API: the token goes to its origin, and relative URLs are resolved against it
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Set a key of the profile or of its token; a list is separated by commas
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Do not check whether the profile works
    #[arg(long)]
    no_check: bool,
    #[command(flatten)]
    config: ConfigOption,
}

impl Add {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        if self.config.profiles_so_far()?.get(&self.name).is_ok() {
            return Err(CliError::usage(format!(
                "there is a profile {} already; give another name, or change that profile in the file",
                self.name
            )));
        }
        let new = self.filled().await?;
        let file = self.config.append(&self.name, &new.to_toml())?;
        print_stdout(format!("added {} to {}\n", self.name, file.display()))?;
        let profile = self.config.profile(&self.name)?;
        let checked = match self.no_check || profile.sign_in().is_some() {
            true => Ok(ExitCode::Done),
            false => report(&profile.check().await),
        };
        print_stdout(self.next_step(&profile, checked.is_ok()))?;
        checked
    }

    /// The profile with a value for each required key.
    async fn filled(&self) -> Result<NewProfile, CliError> {
        let asks = stdin().is_terminal() && stderr().is_terminal();
        let mut new = match self.kind()? {
            Some(kind) => NewProfile::new(&self.name, kind)?,
            None if asks => self.ask_kind().await?,
            None => {
                return Err(CliError::usage(
                    "there is no terminal to ask at; say with --grant, --preset or --source where the token comes from, or set `user`",
                ));
            }
        };
        let options = [("source", &self.source), ("base_url", &self.base_url)];
        let options = options
            .iter()
            .filter_map(|(key, value)| Some((*key, value.as_ref()?)));
        let set = self.set.iter().map(|(key, value)| (key.as_str(), value));
        for (key, value) in options.chain(set) {
            new.set(key, value)?;
        }
        if !asks {
            let missing = new.questions();
            return match missing.is_empty() {
                true => Ok(new),
                false => Err(missing_keys(&missing)),
            };
        }
        while let Some(question) = new.questions().into_iter().next() {
            ask(&mut new, &question, true).await?;
        }
        // Only a person who answers questions is asked for more. Options are complete as they are.
        if self.kind()?.is_none() {
            for question in new.optional_questions() {
                ask(&mut new, &question, false).await?;
            }
        }
        Ok(new)
    }

    /// The kind of token that the options name.
    fn kind(&self) -> Result<Option<&str>, CliError> {
        let has_user = self.set.iter().any(|(key, _)| key == "user");
        Ok(match (&self.grant, &self.preset, &self.source) {
            (Some(kind), _, _) | (_, Some(kind), _) => Some(kind),
            (_, _, Some(_)) => Some("source"),
            _ if has_user => Some("user"),
            _ => None,
        })
    }

    async fn ask_kind(&self) -> Result<NewProfile, CliError> {
        print_stderr(kinds());
        loop {
            print_stderr("\nkind of token: ");
            let answer = line().await?;
            match NewProfile::new(&self.name, answer.trim()) {
                Ok(new) => return Ok(new),
                Err(error) => print_stderr(format!("{error}\n")),
            }
        }
    }

    fn next_step(&self, profile: &Profile, works: bool) -> String {
        let name = &self.name;
        let url = profile.base_url().map(ToString::to_string);
        let url = url.or_else(|| Some(profile.origins().first()?.to_string()));
        let url = url.unwrap_or_default();
        let config = self.config.arguments();
        let command = |words: &[&str]| {
            let words = words.iter().copied();
            shell_words::join(words.chain(config.iter().map(String::as_str)))
        };
        let request = command(&["keyfob", "request", &url]);
        if profile.sign_in().is_some() {
            let login = command(&["keyfob", "login", name]);
            return format!("next: {login}, and then {request}\n");
        }
        match works {
            true => format!("next: {request}\n"),
            false => format!(
                "next: correct the profile or its secret, and run {}\n",
                command(&["keyfob", "profile", "check", name])
            ),
        }
    }
}

/// Asks until the answer fits. No answer to an optional question leaves the key out.
async fn ask(new: &mut NewProfile, question: &Question, required: bool) -> Result<(), CliError> {
    print_stderr(text(question, required));
    let keys = std::iter::once(&question.key).chain(&question.instead);
    let mut keys = keys.cycle();
    let mut key = keys.next().unwrap_or(&question.key);
    loop {
        print_stderr(format!("{key}: "));
        let answer = line().await?;
        let is_empty = answer.trim().is_empty();
        if is_empty && !required {
            return Ok(());
        }
        if is_empty {
            key = keys.next().unwrap_or(key);
            continue;
        }
        // The error does not repeat the answer, which may be a secret.
        match new.set(key, &answer) {
            Ok(()) => return Ok(()),
            Err(error) => print_stderr(format!("{error}\n")),
        }
    }
}

fn text(question: &Question, required: bool) -> String {
    let mut text = format!("\n{}: {}\n", question.key, question.meaning);
    if !question.words.is_empty() {
        text += &format!("One of {}.\n", question.words.join(", "));
    }
    if question.is_secret {
        text += "Do not type the secret itself. Give the place where it is: file:/path, env:NAME, command:program argument, or \
                 keyring:service/user.\n";
    }
    match (required, question.instead.is_empty()) {
        (false, _) => text += "Press Enter to leave it out.\n",
        (true, false) => {
            text += &format!(
                "Press Enter to give {} instead.\n",
                question.instead.join(" or ")
            );
        }
        (true, true) => {}
    }
    text
}

/// The next line that a person types.
async fn line() -> Result<String, CliError> {
    // On a thread of its own, because a signal must end the program while it waits.
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        stdin().read_line(&mut line).map(|length| (length, line))
    });
    let read = read
        .await
        .map_err(|error| CliError::failed("the answer cannot be read", &error))?;
    let (length, line) =
        read.map_err(|error| CliError::failed("the answer cannot be read", &error))?;
    match length {
        0 => Err(CliError::usage(
            "the input ended before all questions were answered; nothing was written",
        )),
        _ => Ok(line),
    }
}

fn missing_keys(missing: &[Question]) -> CliError {
    let lines: Vec<_> = missing
        .iter()
        .map(|question| {
            let keys = std::iter::once(&question.key).chain(&question.instead);
            let keys: Vec<_> = keys.map(|key| format!("`{key}`")).collect();
            format!("{} is missing: {}", keys.join(" or "), question.meaning)
        })
        .collect();
    CliError::usage(format!(
        "{}\nthere is no terminal to ask at; give these keys with --set KEY=VALUE",
        lines.join("\n")
    ))
}

fn kinds() -> String {
    let kinds = NewProfile::kinds().into_iter();
    let lines = kinds.map(|(kind, meaning)| format!("  {kind:24}{meaning}\n"));
    format!("Where the token comes from:\n{}", lines.collect::<String>())
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("give a key and a value, such as client_id=reports"),
    }
}
