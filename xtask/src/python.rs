//! The Python package: a virtual environment of its own, and what is checked in it.
//!
//! The environment is part of the build output. Nothing but [`prepare`] uses the network.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use crate::debian::install_debian_packages;
use crate::process::{Outcome, program, read, root, run, target};
use crate::version::version;

/// Makes the environment, unless there is one with what the tests need today.
pub(crate) fn prepare() -> Outcome {
    let wanted = fs::read_to_string(root().join(REQUIREMENTS))
        .map_err(|error| format!("{REQUIREMENTS} cannot be read: {error}"))?;
    let stamp = environment().join("installed.txt");
    if is_recent(program(environment().join("bin/python")))
        && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted)
    {
        return Ok(());
    }
    println!("── installing {REQUIREMENTS}");
    provide_python()?;
    // `--clear`: what an earlier list asked for shall not hide what is missing in this one.
    run(program("python3")
        .args(["-m", "venv", "--clear"])
        .arg(environment()))?;
    run(pip().args(["install", "--quiet", "--requirement", REQUIREMENTS]))?;
    fs::write(&stamp, wanted)
        .map_err(|error| format!("{} cannot be written: {error}", stamp.display()))
}

/// A `python3` of the machine that can make environments.
fn provide_python() -> Outcome {
    let can_make_environments = || {
        is_recent(program("python3"))
            && read(program("python3").args(["-c", "import ensurepip, venv"])).is_ok()
    };
    if can_make_environments() {
        return Ok(());
    }
    install_debian_packages(
        &["python3-venv"],
        "there is no python3 of 3.10 or later that has `venv` and `ensurepip`",
    )?;
    if can_make_environments() {
        Ok(())
    } else {
        Err(
            "the first python3 in PATH is older than 3.10, or has no `venv` or `ensurepip`"
                .to_owned(),
        )
    }
}

fn is_recent(mut python: Command) -> bool {
    read(python.arg("--version")).is_ok_and(|text| version(&text) >= Some(PYTHON_LEAST))
}

/// Builds the package as its users' `pip` does, but for the profile, and installs it.
pub(crate) fn install_package() -> Outcome {
    install(&["--config-settings=build-args=--profile=dev"])
}

/// Nothing for the formatter to change, and no warning.
pub(crate) fn check_style() -> Outcome {
    run(tool("ruff").args(["format", "--check", "."]))?;
    run(tool("ruff").args(["check", "."]))
}

/// The types hold inside, and say all to those who use the package.
pub(crate) fn check_types() -> Outcome {
    run(&mut tool("mypy"))?;
    // These two look at the package as it was installed.
    run(tool("stubtest").arg("keyfob"))?;
    run(tool("pyright").args(["--verifytypes", "keyfob", "--ignoreexternal"]))?;
    run(&mut tool("pyright"))
}

/// The tests, against the test kit as a program.
pub(crate) fn run_tests() -> Outcome {
    // It fails where it finds no test.
    run(tool("pytest").env("KEYFOB_TESTKIT", target().join("debug/keyfob-testkit")))
}

/// Builds the package as its users have it, and measures what it costs.
pub(crate) fn measure() -> Outcome {
    let place = provide_release()?;
    run(tool("python")
        .arg("benches/speed.py")
        .env("PYTHONPATH", place))
}

/// A Python that finds the package as its users have it, its bench, and these other packages: the interpreter, and the path
/// that it has to be given.
pub(crate) fn beside_its_peers(peers: &[&str]) -> Result<(PathBuf, OsString), String> {
    let package = provide_release()?;
    let others = root().join("target/python-peers");
    run(pip()
        .args(["install", "--quiet", "--upgrade", "--target"])
        .arg(&others)
        .args(peers))?;
    let places = [package, root().join(PACKAGE).join("benches"), others];
    let path = env::join_paths(places).map_err(|error| error.to_string())?;
    Ok((environment().join("bin/python"), path))
}

/// The package as its users have it, in a folder of its own.
fn provide_release() -> Result<PathBuf, String> {
    prepare()?;
    let place = root().join("target/python-release");
    install(&["--upgrade", "--target", &place.display().to_string()])?;
    Ok(place)
}

/// Builds the package with the tools of the environment, and installs it.
fn install(options: &[&str]) -> Outcome {
    run(pip()
        .args([
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--no-build-isolation",
        ])
        .args(options)
        .arg(root().join(PACKAGE))
        .env("PATH", path()))
}

fn pip() -> Command {
    let mut command = program(environment().join("bin/python"));
    command.args(["-m", "pip", "--disable-pip-version-check"]);
    command
}

/// A program of the environment, run where the package's `pyproject.toml` configures it.
fn tool(name: &str) -> Command {
    let mut command = program(environment().join("bin").join(name));
    command
        .current_dir(root().join(PACKAGE))
        .env("PATH", path());
    command
}

/// The programs of the environment before those of the machine.
fn path() -> OsString {
    let mut path = environment().join("bin").into_os_string();
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    path
}

fn environment() -> PathBuf {
    root().join("target/python")
}

const PACKAGE: &str = "crates/keyfob-python";
const REQUIREMENTS: &str = "crates/keyfob-python/requirements-test.txt";
const PYTHON_LEAST: (u32, u32) = (3, 10);
