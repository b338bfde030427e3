//! Adds a profile to the file with the profiles or changes one, and keeps everything else in it.

use std::fs;
use std::path::{Path, PathBuf};

use keyfob::Profiles;

use crate::output::error::CliError;
use crate::text_file;

/// Appends a profile, and returns the path of the file.
///
/// `toml` begins with the line `[profiles.NAME]`, and holds no other profile. The file gets it as a whole or not at all, and keeps its
/// text, comments and permissions. A missing file and its folder are made for this user alone. Without `path`, it is the default
/// file.
///
/// A file that has a profile of this name is refused, as is one that keyfob would not read: with mistakes, of another user, or
/// writable by others.
pub(crate) fn append(path: Option<&Path>, name: &str, toml: &str) -> Result<PathBuf, CliError> {
    edit(path, name, |path, text| {
        let is_taken = |profiles: Profiles| profiles.get(name).is_ok();
        if parse(&text).is_ok_and(is_taken) {
            return Err(CliError::usage(format!(
                "{} has a profile {name} already; give another name, or change that profile in the file",
                path.display()
            )));
        }
        Ok(with_profile(text, toml))
    })
}

/// Replaces the text of the file by what this makes of it, under the same rules as [`append`], and returns the path of the file.
///
/// The new text has to hold a profile of this name.
pub(crate) fn edit(
    path: Option<&Path>,
    name: &str,
    change: impl FnOnce(&Path, String) -> Result<String, CliError>,
) -> Result<PathBuf, CliError> {
    let path = path.map(Path::to_owned).or_else(Profiles::default_file);
    let path = path.ok_or_else(|| {
        CliError::usage("there is no folder for keyfob.toml; set XDG_CONFIG_HOME or HOME, or name a file with --config")
    })?;
    text_file::edit(&path, "the profile", |exists| {
        let text = match exists {
            true => read(&path)?,
            false => String::new(),
        };
        let text = change(&path, text)?;
        check(&path, name, &text)?;
        Ok(Some(text))
    })?;
    Ok(path)
}

/// The text of a file that keyfob reads.
fn read(path: &Path) -> Result<String, CliError> {
    Profiles::from_file(path)?;
    fs::read_to_string(path)
        .map_err(|error| CliError::failed(format!("{} cannot be read", path.display()), &error))
}

/// The profiles in a text that has no file yet.
fn parse(text: &str) -> Result<Profiles, keyfob::Error> {
    Profiles::from_text(text.trim_start_matches('\u{feff}'))
}

/// The text with the profile at its end, after an empty line.
fn with_profile(mut text: String, toml: &str) -> String {
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(line_end);
    }
    if !text.is_empty() {
        text.push_str(line_end);
    }
    for line in toml.lines() {
        text.push_str(line);
        text.push_str(line_end);
    }
    text
}

/// Reads the new text as the next command will, so that no file is written that keyfob refuses.
fn check(path: &Path, name: &str, text: &str) -> Result<(), CliError> {
    let added = parse(text).and_then(|profiles| profiles.get(name).map(drop));
    added.map_err(|error| {
        CliError::usage(format!(
            "the profile does not fit into {}, which stays as it was: {error}",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "[profiles.new]\nbase_url = \"https://new.example\"\ntoken = \"env:NEW\"\n";
    const OLD: &str = "# mine\n[profiles.old]\nbase_url = 'https://old.example'\ntoken = 'env:OLD'";

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn the_text_of_the_file_is_kept_and_the_profile_follows_it() {
        let folder = folder();
        let file = folder.path().join("keyfob.toml");
        fs::write(&file, OLD).unwrap();
        append(Some(&file), "new", NEW).unwrap();
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            format!("{OLD}\n\n{NEW}")
        );
    }

    #[test]
    fn line_ends_stay_those_of_the_file() {
        let folder = folder();
        let file = folder.path().join("keyfob.toml");
        fs::write(&file, OLD.replace('\n', "\r\n")).unwrap();
        append(Some(&file), "new", NEW).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("{OLD}\n\n{NEW}").replace('\n', "\r\n"));
    }

    #[test]
    fn a_refused_profile_leaves_the_file_as_it_was() {
        let folder = folder();
        let file = folder.path().join("keyfob.toml");
        for (text, name, toml, why) in [
            (OLD, "old", OLD, "already"),
            ("[profiles.old]\n", "new", NEW, "`token` is missing"),
            ("profiles = {}\n", "new", NEW, "stays as it was"),
            (OLD, "new", "[profiles.new]\n", "stays as it was"),
        ] {
            fs::write(&file, text).unwrap();
            let error = append(Some(&file), name, toml).unwrap_err();
            assert!(error.message().unwrap().contains(why), "{error:?}");
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn profiles_that_are_added_at_once_are_all_there() {
        let folder = folder();
        let file = folder.path().join("below").join("keyfob.toml");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let file = &file;
                let name = format!("p{number}");
                let toml = NEW.replace("profiles.new", &format!("profiles.{name}"));
                scope.spawn(move || append(Some(file), &name, &toml).unwrap());
            }
        });
        assert_eq!(Profiles::from_file(&file).unwrap().iter().count(), 8);
    }

    #[cfg(unix)]
    mod on_unix {
        use std::os::unix::fs::{PermissionsExt, symlink};

        use super::*;

        fn mode(path: &Path) -> u32 {
            fs::metadata(path).unwrap().permissions().mode() & 0o777
        }

        #[test]
        fn s2_a_new_file_and_its_folder_are_for_their_owner_alone() {
            let folder = folder();
            let file = folder.path().join("a").join("b").join("keyfob.toml");
            append(Some(&file), "new", NEW).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), NEW);
            assert_eq!(mode(&file), 0o600);
            assert_eq!(mode(file.parent().unwrap()), 0o700);
        }

        #[test]
        fn the_mode_of_the_file_is_kept_and_a_link_stays_a_link() {
            let folder = folder();
            let (file, link) = (folder.path().join("dotfile"), folder.path().join("link"));
            fs::write(&file, OLD).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
            symlink(&file, &link).unwrap();
            append(Some(&link), "new", NEW).unwrap();
            assert_eq!(mode(&file), 0o640);
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert!(Profiles::from_file(&link).unwrap().get("new").is_ok());
        }

        #[test]
        fn s2_a_file_that_every_user_can_write_is_refused() {
            let folder = folder();
            let file = folder.path().join("keyfob.toml");
            fs::write(&file, OLD).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
            assert!(append(Some(&file), "new", NEW).is_err());
            assert_eq!(fs::read_to_string(&file).unwrap(), OLD);
        }
    }
}
