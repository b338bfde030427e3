//! Runs the commands and programs of docs/tutorial/README.md as they are written, as a reader would at some terminals.
//!
//! A block of `sh` runs in the first terminal. With a name after `sh`, it runs in a terminal of its own until the page says
//! that it ends. Any other block is the content of the file that the sentence before it names. Comments of the form
//! `<!-- test: … -->` are what the reader does and sees.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, io, iter, thread};

use crate::process::{Outcome, root, target};

/// What a reader does, in the order of the page.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Run these commands, and wait for their end.
    Run(String),
    /// Run these commands in a terminal of this name.
    Start(String, String),
    /// Write this file.
    File(String, String),
    /// Interrupt what runs in the terminal of this name.
    Kill(String),
    /// Run again what ran in the terminal of this name.
    StartAgain(String),
    /// Wait until the terminal of this name prints a line with this text.
    Prints(String, String),
    /// The terminal of this name has printed no line with this text.
    NeverPrints(String, String),
}

/// Follows the page.
pub(crate) fn follow() -> Outcome {
    let page = root().join("docs/tutorial/README.md");
    let page = fs::read_to_string(&page).map_err(|error| format!("{}: {error}", page.display()))?;
    let mut reader = Reader::new()?;
    for step in steps(&page)? {
        println!("── {}", title(&step));
        reader.obey(step)?;
    }
    Ok(())
}

fn steps(page: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut sentence = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let block = iter::from_fn(|| lines.next().filter(|line| *line != "```"));
            let block: String = block.flat_map(|line| [line, "\n"]).collect();
            match info.split_once(' ').unwrap_or((info, "")) {
                ("console", _) => {}
                ("sh", "") => steps.push(Step::Run(block)),
                ("sh", terminal) => steps.push(Step::Start(terminal.to_owned(), block)),
                _ => steps.push(Step::File(named_file(&sentence)?, block)),
            }
        } else if let Some(step) = line.strip_prefix("<!-- test: ") {
            steps.push(instruction(step.trim_end_matches(" -->"))?);
        } else if !line.is_empty() {
            sentence = line.to_owned();
        }
    }
    Ok(steps)
}

/// The file in `Put this into `file``.
fn named_file(sentence: &str) -> Result<String, String> {
    let name = sentence.split('`').nth(1);
    let name = name.filter(|_| sentence.starts_with("Put this into"));
    name.map(str::to_owned)
        .ok_or_else(|| format!("no sentence before a block names its file: {sentence:?}"))
}

fn instruction(text: &str) -> Result<Step, String> {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.to_owned();
    match (first, rest.split_once(' ')) {
        ("kill", None) => Ok(Step::Kill(rest)),
        ("start", None) => Ok(Step::StartAgain(rest)),
        (name, Some(("prints", text))) => Ok(Step::Prints(name.to_owned(), text.to_owned())),
        (name, Some(("never", text))) => {
            let text = text.strip_prefix("prints ").unwrap_or(text);
            Ok(Step::NeverPrints(name.to_owned(), text.to_owned()))
        }
        _ => Err(format!("the test does not know `{text}`")),
    }
}

fn title(step: &Step) -> String {
    match step {
        Step::Run(commands) => commands.trim_end().replace('\n', "\n   "),
        Step::Start(name, commands) => format!("terminal {name}: {}", commands.trim_end()),
        Step::File(name, _) => format!("write {name}"),
        Step::Kill(name) => format!("kill {name}"),
        Step::StartAgain(name) => format!("start {name} again"),
        Step::Prints(name, text) => format!("wait until {name} prints {text}"),
        Step::NeverPrints(name, text) => format!("{name} has never printed {text}"),
    }
}

/// A reader with a home folder of their own and some terminals.
struct Reader {
    home: PathBuf,
    /// The shell of the first terminal, which keeps its folder and its variables.
    shell: Terminal,
    others: Vec<(String, String, Terminal)>,
}

impl Reader {
    fn new() -> Result<Self, String> {
        // Not below the workspace, which cargo would take the reader's package for a part of.
        let home = env::temp_dir().join(format!("keyfob-tutorial-{}", std::process::id()));
        let browser = home.join("bin/xdg-open");
        let cargo = home.join("bin/cargo");
        fs::create_dir_all(home.join("bin"))
            .and_then(|()| fs::write(&browser, BROWSER))
            .and_then(|()| fs::write(&cargo, cargo_of_reader()?))
            .and_then(|()| make_executable(&browser))
            .and_then(|()| make_executable(&cargo))
            .map_err(|error| format!("{}: {error}", home.display()))?;
        // A provider of an earlier run may still know an earlier sign-in.
        _ = fs::remove_file(target().join("provider/state.json"));
        let shell = Terminal::start(&home)?;
        Ok(Self {
            home,
            shell,
            others: Vec::new(),
        })
    }

    fn obey(&mut self, step: Step) -> Outcome {
        match step {
            Step::Run(commands) => self.shell.run(&commands),
            Step::File(name, text) => {
                // The shell knows in which folder it is.
                self.shell.run(&format!(
                    "cat > '{name}' <<'END OF FILE'\n{text}END OF FILE\n"
                ))
            }
            Step::Start(name, commands) => {
                // A new terminal is where the first one is, and knows what that one knows.
                let known = self.home.join(&name).display().to_string();
                if !Path::new(&known).exists() {
                    self.shell.run(&format!(
                        "{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > '{known}'"
                    ))?;
                }
                let mut terminal = Terminal::start(&self.home)?;
                terminal.type_in(&format!("source '{known}'\nexec {commands}"))?;
                self.others.push((name.clone(), commands, terminal));
                self.wait_for(
                    &name,
                    READY
                        .iter()
                        .find(|(of, _)| *of == name)
                        .map_or("", |(_, text)| text),
                )
            }
            Step::Kill(name) => {
                self.terminal(&name)?.kill();
                Ok(())
            }
            Step::StartAgain(name) => {
                let at = self.others.iter().position(|(other, ..)| *other == name);
                let (.., commands, _) = self.others.remove(at.ok_or("it never ran")?);
                self.obey(Step::Start(name, commands))
            }
            Step::Prints(name, text) => self.wait_for(&name, &text),
            Step::NeverPrints(name, text) => {
                let printed = self.terminal(&name)?.printed();
                match printed.lines().find(|line| line.contains(&text)) {
                    Some(line) => Err(format!("{name} printed: {line}\n{printed}")),
                    None => Ok(()),
                }
            }
        }
    }

    fn terminal(&mut self, name: &str) -> Result<&mut Terminal, String> {
        let found = self.others.iter_mut().find(|(other, ..)| other == name);
        found
            .map(|(.., terminal)| terminal)
            .ok_or_else(|| format!("there is no terminal {name}"))
    }

    fn wait_for(&mut self, name: &str, text: &str) -> Outcome {
        let terminal = self.terminal(name)?;
        let end = Instant::now() + PATIENCE;
        // What was printed before does not count.
        let seen = terminal.seen;
        loop {
            let printed = terminal.printed();
            let new = printed.get(seen..).unwrap_or_default();
            if let Some(at) = new.find(text) {
                terminal.seen = seen + at + text.len();
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("{name} does not print {text}:\n{printed}"));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A shell whose input we type.
struct Terminal {
    shell: Child,
    printed: Arc<Mutex<String>>,
    /// How much of what was printed a reader has looked at.
    seen: usize,
    blocks: u32,
}

impl Terminal {
    fn start(home: &Path) -> Result<Self, String> {
        let path = env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command
            // A group of its own, so that an interrupt reaches what the shell started.
            .arg("-c")
            .arg("exec setsid bash 2>&1")
            .current_dir(root())
            .env("HOME", home)
            .env("PATH", format!("{}/bin:{path}", home.display()))
            .env("CARGO_HOME", before("CARGO_HOME", ".cargo"))
            .env("RUSTUP_HOME", before("RUSTUP_HOME", ".rustup"))
            // What was built is kept for the next run.
            .env("CARGO_TARGET_DIR", target())
            // As in this workspace, so that other crates are not built again for the reader's package.
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env_remove("KEYFOB_CONFIG")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let started = command.spawn();
        let mut shell = started.map_err(|error| format!("bash could not be started: {error}"))?;
        let printed = Arc::new(Mutex::new(String::new()));
        let output = shell.stdout.take().expect("it is a pipe");
        let record = Arc::clone(&printed);
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                println!("   {line}");
                let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
                // Writing to a string cannot fail.
                _ = writeln!(record, "{line}");
            }
        });
        Ok(Self {
            shell,
            printed,
            seen: 0,
            blocks: 0,
        })
    }

    fn type_in(&mut self, text: &str) -> Outcome {
        let input = self.shell.stdin.as_mut().expect("it is a pipe");
        let typed = input
            .write_all(text.as_bytes())
            .and_then(|()| input.flush());
        typed.map_err(|error| format!("the shell has ended: {error}"))
    }

    /// Runs commands to their end; each of them has to succeed.
    fn run(&mut self, commands: &str) -> Outcome {
        self.blocks += 1;
        let mark = format!("end of block {}:", self.blocks);
        // Commands get no input, as the rest of ours is for the shell.
        let commands = commands.trim_end();
        self.type_in(&format!(
            "set -e; trap 'echo \"{mark} $?\"' EXIT\n{{\n{commands}\n}} </dev/null\ntrap - EXIT; set +e\necho '{mark} 0'\n"
        ))?;
        let end = Instant::now() + BUILD_PATIENCE;
        loop {
            let printed = self.printed();
            if let Some((_, rest)) = printed.split_once(&mark) {
                let code = rest.lines().next().unwrap_or_default().trim().to_owned();
                return match code.as_str() {
                    "0" => Ok(()),
                    code => Err(format!("these ended with {code}:\n{commands}\n{printed}")),
                };
            }
            if Instant::now() > end {
                return Err(format!("these do not end:\n{commands}\n{printed}"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn printed(&self) -> String {
        let printed = self.printed.lock();
        printed.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Kills the shell and all that it started.
    fn kill(&mut self) {
        let group = format!("-{}", self.shell.id());
        _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        _ = self.shell.kill();
        _ = self.shell.wait();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.others.clear();
        self.shell.kill();
        _ = fs::remove_dir_all(&self.home);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The folder that a variable names, or its default in the real home folder.
fn before(variable: &str, default: &str) -> PathBuf {
    let home = env::var_os("HOME").unwrap_or_default();
    env::var_os(variable).map_or_else(|| Path::new(&home).join(default), PathBuf::from)
}

fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// A `cargo` for which `cargo xtask` is this program. The real one waits while another gate builds, longer than a token lives.
fn cargo_of_reader() -> io::Result<String> {
    // Cargo sets the variable for the programs that it runs.
    let (xtask, cargo) = (env::current_exe()?, before("CARGO", ".cargo/bin/cargo"));
    Ok(format!(
        "#!/bin/sh\n[ \"$1\" = xtask ] && shift && exec '{}' \"$@\"\nexec '{}' \"$@\"\n",
        xtask.display(),
        cargo.display()
    ))
}

/// In place of a browser: follows the page that keyfob opens, with cookies.
const BROWSER: &str = r#"#!/bin/sh
url=$(sed -n 's/.*0; url=\([^"]*\)".*/\1/p' "$1" | sed 's/&amp;/\&/g')
exec curl --silent --show-error --location --cookie '' "$url"
"#;

/// What a terminal prints when what runs in it is ready.
const READY: &[(&str, &str)] = &[
    ("issuer", "\nhttp://127.0.0.1:4000"),
    ("api", "\nhttp://127.0.0.1:4001"),
];
const PATIENCE: Duration = Duration::from_secs(120);
const BUILD_PATIENCE: Duration = Duration::from_secs(1800);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_steps() {
        let page = "Text.\n\n```sh\ncd x\n```\n\nPut this into `a.toml` there:\n\n```toml\n[a]\n```\n\n\
                    ```sh issuer\nrun it\n```\n\n<!-- test: kill issuer -->\n```console\nseen\n```\n\
                    <!-- test: service prints \"a\": 1 -->\n<!-- test: service never prints failed -->\n";
        assert_eq!(
            steps(page).unwrap(),
            [
                Step::Run("cd x\n".to_owned()),
                Step::File("a.toml".to_owned(), "[a]\n".to_owned()),
                Step::Start("issuer".to_owned(), "run it\n".to_owned()),
                Step::Kill("issuer".to_owned()),
                Step::Prints("service".to_owned(), "\"a\": 1".to_owned()),
                Step::NeverPrints("service".to_owned(), "failed".to_owned()),
            ]
        );
        assert!(steps("<!-- test: dance -->").is_err());
        assert!(steps("```toml\n[a]\n```").is_err());
    }
}
