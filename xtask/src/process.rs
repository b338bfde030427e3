//! Runs one program at the workspace root, shows its command line, and turns its end into a value.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, iter};

/// Success, or one line that says what went wrong.
pub(crate) type Outcome = Result<(), String>;

/// The cargo that runs this task, at the workspace root.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = program(env::var("CARGO").as_deref().unwrap_or("cargo"));
    command.args(arguments);
    command
}

/// Any other program, at the workspace root.
pub(crate) fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    command.current_dir(root());
    command
}

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace")
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Runs to the end; output goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Outcome {
    show(command);
    let status = command
        .status()
        .map_err(|error| not_started(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} ended with {status}", line(command)))
    }
}

/// Runs to the end and answers what it wrote to stdout.
pub(crate) fn read(command: &mut Command) -> Result<String, String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| not_started(command, &error))?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", line(command), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a `cargo build --message-format=json-render-diagnostics`, and answers where the program is.
pub(crate) fn build_one(command: &mut Command) -> Result<PathBuf, String> {
    let messages = read(command)?;
    executable(&messages).ok_or_else(|| format!("{} built no program", line(command)))
}

/// The program that cargo names last.
fn executable(messages: &str) -> Option<PathBuf> {
    let (_, rest) = messages.rsplit_once(r#""executable":""#)?;
    let (path, _) = rest.split_once('"')?;
    Some(PathBuf::from(path))
}

/// Like [`run`] for a `cargo test`, but no test run at all is a failure: a filter that matches nothing proves nothing.
pub(crate) fn run_some_tests(command: &mut Command) -> Outcome {
    show(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| not_started(command, &error))?;
    let stdout = child.stdout.take().expect("stdout was piped above");
    let mut passed = 0;
    for text in BufReader::new(stdout).lines().map_while(Result::ok) {
        println!("{text}");
        passed += passed_tests(&text);
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("{} ended with {status}", line(command)));
    }
    if passed == 0 {
        Err(format!("{} ran no test", line(command)))
    } else {
        Ok(())
    }
}

/// The count in libtest's closing line, `test result: ok. 3 passed; 0 failed; …`.
fn passed_tests(text: &str) -> usize {
    text.strip_prefix("test result: ok. ")
        .and_then(|counts| counts.split_once(" passed"))
        .and_then(|(count, _)| count.parse().ok())
        .unwrap_or(0)
}

/// Prints the command as a reader would type it, with the variables that were set for it.
fn show(command: &Command) {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let variables: String = variables
        .map(|(name, value)| assignment(name, value) + " ")
        .collect();
    println!("   $ {variables}{}", line(command));
}

/// Says `$PATH` for what was in `PATH` before.
fn assignment(name: &OsStr, value: &OsStr) -> String {
    let (name, value) = (name.display(), value.to_string_lossy());
    match env::var(name.to_string()) {
        Ok(before) if !before.is_empty() => {
            format!("{name}=\"{}\"", value.replace(&before, &format!("${name}")))
        }
        _ => format!("{name}='{value}'"),
    }
}

/// The program by its name, and its arguments.
fn line(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let words = iter::once(name).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn not_started(command: &Command, error: &io::Error) -> String {
    format!("{} could not be started: {error}", line(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_of_libtest_is_counted() {
        assert_eq!(
            passed_tests(
                "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out"
            ),
            3
        );
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(passed_tests("test result: ok. 0 passed; 0 failed"), 0);
        assert_eq!(passed_tests("running 3 tests"), 0);
    }

    #[test]
    fn a_variable_is_shown_by_what_was_added_to_it() {
        let before = env::var("PATH").unwrap();
        let shown = assignment("PATH".as_ref(), format!("/tools:{before}").as_ref());
        assert_eq!(shown, r#"PATH="/tools:$PATH""#);
        let shown = assignment("KEYFOB_NEW".as_ref(), "1".as_ref());
        assert_eq!(shown, "KEYFOB_NEW='1'");
    }

    #[test]
    fn a_command_is_named_without_its_folder() {
        let mut command = program("/some/where/cargo");
        command.args(["doc", "--no-deps"]);
        assert_eq!(line(&command), "cargo doc --no-deps");
    }

    #[test]
    fn the_program_is_the_last_that_cargo_names() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","executable":"/t/release/deps/figures-1","fresh":true}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(
            executable(messages),
            Some("/t/release/deps/figures-1".into())
        );
        assert_eq!(executable(r#"{"executable":null}"#), None);
    }
}
