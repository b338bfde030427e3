//! Coverage-guided fuzzing of the parsers that read what others wrote, with the stable toolchain.

use std::fs;

use crate::process::{Outcome, cargo, program, read, root, run};

/// Runs `cargo xtask fuzz [TARGET] [--minutes N]`: one target, or each one for this long.
pub(crate) fn fuzz(arguments: &[&str]) -> Outcome {
    let (name, minutes) = match arguments {
        [] => (None, "1"),
        ["--minutes", minutes] => (None, *minutes),
        [name] => (Some(*name), "1"),
        [name, "--minutes", minutes] | ["--minutes", minutes, name] => (Some(*name), *minutes),
        _ => return Err(USAGE.to_owned()),
    };
    let minutes: f64 = minutes.parse().map_err(|_| USAGE.to_owned())?;
    let all = targets()?;
    let chosen: Vec<_> = all
        .iter()
        .filter(|other| name.is_none_or(|name| name == **other))
        .collect();
    if chosen.is_empty() {
        return Err(format!(
            "there is no such target; the targets are {}",
            all.join(", ")
        ));
    }
    let host = host()?;
    build(&host)?;
    for target in chosen {
        search(&host, target, minutes)?;
    }
    Ok(())
}

/// The targets are the folders of the corpus.
fn targets() -> Result<Vec<String>, String> {
    let corpus = root().join("fuzz/corpus");
    let folders = fs::read_dir(corpus).map_err(|error| format!("fuzz/corpus: {error}"))?;
    let mut names: Vec<_> = folders
        .filter_map(|folder| folder.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Builds all targets as one program, so that there is one link. Needs a C++ compiler for libFuzzer.
fn build(host: &str) -> Outcome {
    // With a target, the flags are not those of build scripts and macros.
    let target = format!("--target={host}");
    run(cargo([
        "build",
        "--release",
        "--manifest-path=fuzz/Cargo.toml",
        "--target-dir=fuzz/target",
        &target,
    ])
    .env("RUSTFLAGS", FLAGS.join(" ")))
}

/// Searches for bytes that break a target. New ones that reach new code stay in `fuzz/target`.
fn search(host: &str, target: &str, minutes: f64) -> Outcome {
    let found = root().join("fuzz/target/found").join(target);
    fs::create_dir_all(&found).map_err(|error| format!("{}: {error}", found.display()))?;
    let seconds = format!("-max_total_time={}", (minutes * 60.0).ceil());
    let prefix = format!("-artifact_prefix={}-", found.display());
    let binary = root()
        .join("fuzz/target")
        .join(host)
        .join("release/keyfob-fuzz");
    let searched = run(program(binary)
        .env("KEYFOB_FUZZ_TARGET", target)
        .args([
            &*seconds,
            &prefix,
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-max_len=8192",
            "-print_final_stats=1",
        ])
        .arg(&found)
        .arg(root().join("fuzz/corpus").join(target)));
    searched.map_err(|error| {
        format!("{error}; correct the fault, and add the bytes that it names to fuzz/corpus/{target}, where `cargo xtask test` reads them")
    })
}

fn host() -> Result<String, String> {
    let version = read(program("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc names no host".to_owned())
}

/// The instrumentation that libFuzzer reads, as flags of the stable compiler.
const FLAGS: [&str; 8] = [
    "--cfg",
    "keyfob_fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    // The linker must keep the tables, to which nothing refers.
    "-Clink-arg=-Wl,-z,nostart-stop-gc",
];

const USAGE: &str = "usage: cargo xtask fuzz [TARGET] [--minutes N]";
