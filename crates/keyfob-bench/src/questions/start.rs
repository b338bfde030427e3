//! What does it cost to start the program, and to depend on the library?

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{env, fs};

use crate::chart::Bar;
use crate::figure::{figure, time};
use crate::measure::median;
use crate::table::{Table, verdict};

/// The whole process of the command line; `None` if it was not built.
pub fn ask_process() -> Option<Table> {
    let program = PathBuf::from(env::var_os("KEYFOB_BENCH_PROGRAM")?);
    let folder = profile();
    let mut rows = Vec::new();
    let (mut bars, mut verdicts) = (Vec::new(), Vec::new());
    for (name, arguments) in STARTS {
        let took = took(&program, arguments, &folder);
        let ours = arguments.is_some();
        rows.push(vec![(*name).to_owned(), time(took)]);
        bars.push(Bar::new(*name, took * 1e3, ours).labelled(time(took)));
        if *name == FROM_CACHE {
            verdicts.push(verdict(name, took * 1e3, 5.0, " ms"));
        }
    }
    let size = fs::metadata(&program).map_or(0, |file| file.len()) as f64;
    rows.push(vec![
        "size of the program".to_owned(),
        format!("{} MiB", figure(size / 1_048_576.0)),
    ]);
    Some(Table {
        name: "start-up",
        title: "The command line from start to exit".to_owned(),
        about: "Medians of 101 runs of the whole process, started as a shell starts it. `true` shows what any process \
                costs.",
        columns: vec!["", "time"],
        rows,
        measured: "time of the whole process, in ms",
        bars,
        verdicts,
    })
}

/// A folder with a profile. The first run fetches its token and stores it.
fn profile() -> PathBuf {
    let folder = scratch().join("start");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("keyfob.toml"), PROFILE).expect("a file");
    folder
}

/// The median of 101 runs, after one that does not count.
fn took(program: &Path, arguments: &Option<&[&str]>, folder: &Path) -> f64 {
    let mut times = Vec::new();
    for run in 0..=101 {
        let mut command = match arguments {
            Some(arguments) => {
                let mut command = Command::new(program);
                command.args(*arguments);
                command
            }
            None => Command::new("true"),
        };
        command
            .env("KEYFOB_BENCH_TOKEN", "t0ken")
            .env("KEYFOB_CONFIG", folder.join("keyfob.toml"))
            .env("XDG_STATE_HOME", folder.join("state"))
            .stdout(Stdio::null());
        let start = Instant::now();
        let ended = command.status().expect("it starts");
        if run > 0 {
            times.push(start.elapsed().as_secs_f64());
        }
        assert!(ended.success(), "{command:?} ended with {ended}");
    }
    median(&mut times)
}

/// The dependencies, the build time and the size of a minimal program.
pub fn ask_build() -> Table {
    let (mut rows, mut bars) = (Vec::new(), Vec::new());
    for minimal in MINIMAL {
        let folder = minimal.write();
        let crates = crates(&folder);
        let mut row = vec![minimal.name.to_owned(), crates.to_string()];
        row.extend(build(&folder, minimal.program));
        rows.push(row);
        bars.push(
            Bar::new(
                minimal.name,
                crates as f64,
                minimal.name.starts_with("keyfob"),
            )
            .labelled(crates.to_string()),
        );
    }
    Table {
        name: "build",
        title: "What a minimal program pulls in".to_owned(),
        about: "A program that fetches a token and sends a request with it, or prints its header if the library sends \
                no requests. It depends only on this library, with its default features unless the row says otherwise, \
                and on a runtime. *Crates* counts everything that is built, including build scripts and macros. Times \
                are for a release build in an empty folder, with all processors of a machine that does nothing else. \
                The binary is stripped.",
        columns: vec!["", "crates", "build", "CPU", "binary"],
        rows,
        measured: "crates",
        bars,
        verdicts: Vec::new(),
    }
}

struct Minimal {
    name: &'static str,
    program: &'static str,
    dependencies: &'static str,
    source: &'static str,
}

impl Minimal {
    fn write(&self) -> PathBuf {
        let folder = scratch().join(self.program);
        fs::create_dir_all(folder.join("src")).expect("a folder");
        let here = env!("CARGO_MANIFEST_DIR");
        let dependencies = self
            .dependencies
            .replace("$KEYFOB", &format!("{here}/../keyfob"));
        let manifest = format!(
            "[package]\nname = \"{}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n[profile.release]\nstrip = true\n\n[dependencies]\ntokio = {{ version = \"1\", features = [\"rt\"] }}\n{dependencies}\n",
            self.program
        );
        fs::write(folder.join("Cargo.toml"), manifest).expect("a manifest");
        fs::write(folder.join("src/main.rs"), MAIN).expect("a program");
        fs::write(folder.join("src/program.rs"), self.source).expect("a program");
        folder
    }
}

fn scratch() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(env::temp_dir, PathBuf::from);
    target.join("minimal")
}

fn crates(folder: &Path) -> usize {
    let listing = cargo(folder)
        .args([
            "tree",
            "--quiet",
            "--edges=normal,build",
            "--prefix=none",
            "--target=x86_64-unknown-linux-gnu",
        ])
        .output()
        .expect("cargo starts");
    assert!(
        listing.status.success(),
        "{}",
        String::from_utf8_lossy(&listing.stderr)
    );
    let listing = String::from_utf8_lossy(&listing.stdout);
    let crates: BTreeSet<&str> = listing
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    // The program itself is not a dependency.
    crates.len() - 1
}

fn build(folder: &Path, program: &str) -> [String; 3] {
    let _ = fs::remove_dir_all(folder.join("target"));
    let cpu = children_cpu();
    let start = Instant::now();
    let ended = cargo(folder)
        .args(["build", "--release", "--quiet"])
        .status();
    assert!(
        ended.is_ok_and(|ended| ended.success()),
        "{program} is not built"
    );
    let took = start.elapsed().as_secs_f64();
    let cpu = children_cpu() - cpu;
    let binary = fs::metadata(folder.join("target/release").join(program))
        .map_or(0, |file| file.len()) as f64;
    [
        format!("{took:.0} s"),
        format!("{cpu:.0} s"),
        format!("{} MiB", figure(binary / 1_048_576.0)),
    ]
}

fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder).env_remove("CARGO_TARGET_DIR");
    command
}

/// The CPU seconds of the child processes that have ended.
fn children_cpu() -> f64 {
    // The 16th and 17th field, in ticks of the kernel. The second field may contain spaces.
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
    let ticks = after
        .split(' ')
        .skip(13)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

const FROM_CACHE: &str = "keyfob token, from the cache";

const PROFILE: &str = r#"[profiles.bench]
origins = "https://api.example.com"
token = """command:echo '{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}'"""
"#;

const STARTS: &[(&str, Option<&[&str]>)] = &[
    ("true", None),
    ("keyfob --version", Some(&["--version"])),
    (
        "keyfob token, from the environment",
        Some(&["token", "--token-env", "KEYFOB_BENCH_TOKEN"]),
    ),
    (FROM_CACHE, Some(&["token", "--profile", "bench"])),
];

const MAIN: &str = include_str!("../../minimal/main.rs");

const MINIMAL: &[Minimal] = &[
    Minimal {
        name: "keyfob",
        program: "minimal-keyfob",
        dependencies: "keyfob = { path = \"$KEYFOB\" }",
        source: include_str!("../../minimal/keyfob.rs"),
    },
    Minimal {
        name: "keyfob, tower layer alone",
        program: "minimal-keyfob-tower",
        dependencies: "keyfob = { path = \"$KEYFOB\", default-features = false, features = [\"tower\", \"tokio\"] }\nhttp = \"1\"\ntower-layer = \"0.3\"\ntower-service = \"0.3\"",
        source: include_str!("../../minimal/keyfob_tower.rs"),
    },
    Minimal {
        name: "reqwest",
        program: "minimal-reqwest",
        dependencies: "reqwest = \"0.13.5\"",
        source: include_str!("../../minimal/reqwest.rs"),
    },
    Minimal {
        name: "reqwest + middleware + retry",
        program: "minimal-retry",
        dependencies: "reqwest = \"0.13.5\"\nreqwest-middleware = \"0.5.2\"\nreqwest-retry = \"0.9.1\"",
        source: include_str!("../../minimal/reqwest_retry.rs"),
    },
    Minimal {
        name: "google-cloud-auth",
        program: "minimal-google",
        dependencies: "google-cloud-auth = \"1.18.0\"\nhttp = \"1\"",
        source: include_str!("../../minimal/google_cloud_auth.rs"),
    },
    Minimal {
        name: "azure_core",
        program: "minimal-azure",
        dependencies: "azure_core = \"1.1.0\"\nasync-trait = \"0.1\"",
        source: include_str!("../../minimal/azure_core.rs"),
    },
    Minimal {
        name: "object_store, azure",
        program: "minimal-object-store",
        dependencies: "object_store = { version = \"0.14.2\", features = [\"azure\"] }",
        source: include_str!("../../minimal/object_store.rs"),
    },
    Minimal {
        name: "gcp_auth",
        program: "minimal-gcp",
        dependencies: "gcp_auth = \"0.12.7\"",
        source: include_str!("../../minimal/gcp_auth.rs"),
    },
    Minimal {
        name: "huskarl + huskarl-reqwest",
        program: "minimal-huskarl",
        dependencies: "huskarl = \"0.11.10\"\nhuskarl-reqwest = \"0.9.3\"\nhttp = \"1\"",
        source: include_str!("../../minimal/huskarl.rs"),
    },
    Minimal {
        name: "middle",
        program: "minimal-middle",
        dependencies: "middle = \"0.5.0\"",
        source: include_str!("../../minimal/middle.rs"),
    },
];
