//! Changes the files of other programs: as a whole or not at all, and nothing that a person has set.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::output::error::CliError;
use crate::text_file;

/// A configuration, and where it goes.
pub(super) struct Plan {
    pub(super) file: PathBuf,
    /// The configuration alone, as the program reads it.
    pub(super) text: String,
    pub(super) merge: Merge,
    /// The link to keyfob under the name that the program looks for.
    pub(super) link: Option<PathBuf>,
}

/// How the configuration becomes a part of the file.
pub(super) enum Merge {
    /// At the end, unless a line of the file begins with one of these, which then says something else about the same thing.
    Append(Vec<String>),
    /// The members of this object of a JSON file.
    Member {
        object: &'static str,
        members: Vec<(String, String)>,
    },
}

/// Adds the configuration to its file. Returns whether it was not there.
pub(super) fn merge(plan: &Plan) -> Result<bool, CliError> {
    let mut is_new = false;
    text_file::edit(&plan.file, "the configuration", |exists| {
        let old = match exists {
            true => fs::read_to_string(&plan.file).map_err(|error| {
                CliError::failed(format!("{} cannot be read", plan.file.display()), &error)
            })?,
            false => String::new(),
        };
        let new = match &plan.merge {
            Merge::Append(taken) => append(plan, &old, taken)?,
            Merge::Member { object, members } => with_members(plan, &old, object, members)?,
        };
        is_new = new.is_some();
        Ok(new)
    })?;
    Ok(is_new)
}

fn append(plan: &Plan, old: &str, taken: &[String]) -> Result<Option<String>, CliError> {
    if old.contains(&plan.text) {
        return Ok(None);
    }
    // Case and spaces do not count in most of these formats.
    let normal = |text: &str| text.to_ascii_lowercase().replace([' ', '\t', '\''], "");
    for line in old.lines() {
        if taken
            .iter()
            .any(|start| normal(line).starts_with(&normal(start)))
        {
            return Err(conflict(plan, line.trim()));
        }
    }
    let mut new = old.to_owned();
    if !new.is_empty() && !new.ends_with('\n') {
        new.push('\n');
    }
    if !new.is_empty() {
        new.push('\n');
    }
    new.push_str(&plan.text);
    Ok(Some(new))
}

fn with_members(
    plan: &Plan,
    old: &str,
    object: &str,
    members: &[(String, String)],
) -> Result<Option<String>, CliError> {
    let unusable = || {
        CliError::usage(format!(
            "{} is not an object in JSON; correct it, or add by hand what this command prints without --write",
            plan.file.display()
        ))
    };
    let mut whole: Map<String, Value> = match old.trim().is_empty() {
        true => Map::new(),
        false => serde_json::from_str(old).map_err(|_| unusable())?,
    };
    let inner = whole.entry(object).or_insert_with(|| Map::new().into());
    let inner = inner.as_object_mut().ok_or_else(unusable)?;
    let mut is_changed = false;
    for (name, value) in members {
        match inner.get(name) {
            None => {
                inner.insert(name.clone(), Value::String(value.clone()));
                is_changed = true;
            }
            Some(Value::String(known)) if known == value => {}
            Some(_) => return Err(conflict(plan, &format!("{object}: {name}"))),
        }
    }
    let text = serde_json::to_string_pretty(&whole).map_err(|_| unusable())?;
    Ok(is_changed.then(|| text + "\n"))
}

fn conflict(plan: &Plan, what: &str) -> CliError {
    CliError::usage(format!(
        "{} has another setting for this already, `{what}`; remove it, or add by hand what this command prints without --write",
        plan.file.display()
    ))
}

/// Whether the link has to be made. Something else under its name is an error.
pub(super) fn link_is_missing(link: &Path, keyfob: &Path) -> Result<bool, CliError> {
    if fs::symlink_metadata(link).is_err() {
        return Ok(true);
    }
    let same = link.canonicalize().ok() == keyfob.canonicalize().ok();
    match same {
        true => Ok(false),
        false => Err(CliError::usage(format!(
            "{} exists already and is not a link to this keyfob; remove it, or name another folder with --links",
            link.display()
        ))),
    }
}

pub(super) fn make_link(link: &Path, keyfob: &Path) -> Result<(), CliError> {
    let made = link
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| symlink(keyfob, link));
    made.map_err(|error| {
        CliError::failed(
            format!(
                "the link {} cannot be made; name a folder in PATH that you can write with --links",
                link.display()
            ),
            &error,
        )
    })
}

#[cfg(unix)]
fn symlink(keyfob: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(keyfob, link)
}

/// Not every user of Windows may make symbolic links.
#[cfg(not(unix))]
fn symlink(keyfob: &Path, link: &Path) -> io::Result<()> {
    fs::hard_link(keyfob, link)
}
