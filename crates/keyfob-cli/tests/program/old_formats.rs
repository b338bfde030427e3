//! Files and command lines from other versions of keyfob. The fixtures belong to the library: `tests/fixtures/formats` there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::keyfob::{Finished, Folder, Keyfob};

fn versions() -> Vec<PathBuf> {
    let folders = fs::read_dir(FORMATS).expect("the fixtures are there");
    let mut folders: Vec<_> = folders
        .map(|folder| folder.expect("it can be read").path())
        .collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

/// A machine whose store is empty, with a file that was exported elsewhere.
struct Machine(Folder);

impl Machine {
    fn new(version: &Path, exported: &str) -> Self {
        let folder = Folder::new();
        let key = fs::read_to_string(version.join("sealing-key")).expect("it is there");
        let key = folder.file("sealing-key", &key);
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("it is ours");
        folder.file("exported", exported);
        let profile = format!(
            "[profiles.a]\nbase_url = \"https://a.example/\"\n[profiles.a.token]\nsource = \"env:UNUSED\"\n\
             [profiles.a.store]\nkind = \"file\"\ndirectory = \"{}\"\n",
            folder.path("state").display()
        );
        folder.file("keyfob.toml", &profile);
        Self(folder)
    }

    fn import(&self) -> Finished {
        let path = |name: &str| self.0.path(name).display().to_string();
        let (file, key) = (path("exported"), path("sealing-key"));
        Keyfob::new(["store", "import", "a"])
            .args([format!("--file={file}"), format!("--sealing-key={key}")])
            .env("KEYFOB_CONFIG", &path("keyfob.toml"))
            .run()
    }

    fn entries(&self) -> usize {
        let files = fs::read_dir(self.0.path("state"));
        let files = files.map(|files| files.map(|file| file.expect("it can be read").path()));
        files.map_or(0, |files| {
            let kinds = files.map(|path| path.extension().map(|kind| kind == "token"));
            kinds.filter(|kind| *kind == Some(true)).count()
        })
    }
}

#[test]
fn an_exported_file_of_each_version_is_imported() {
    for version in versions() {
        let exported = fs::read_to_string(version.join("exported")).expect("it is there");
        let machine = Machine::new(&version, &exported);
        let done = machine.import();
        // The fourth one does not expire. The profile would not keep it as its own, and it is that of another profile.
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stdout.contains("4 tokens are imported"), "{done:?}");
        assert_eq!(machine.entries(), 4);
    }
}

#[test]
fn an_exported_file_of_a_newer_version_is_refused() {
    for version in versions() {
        let machine = Machine::new(&version, "keyfob-export-99\nwhat it means by this\n");
        let done = machine.import();
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains("newer version"), "{done:?}");
        assert_eq!(machine.entries(), 0);
    }
}

/// The command lines that are in the files of other programs and services: `keyfob helper setup` or the documentation put them there.
#[test]
fn command_lines_of_each_version_are_understood() {
    for version in versions() {
        let lines = fs::read_to_string(version.join("command-lines.txt")).expect("it is there");
        let lines = lines.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            // The arguments before `--help` are read first, and an unknown one is an error.
            let done = Keyfob::new(line.split(' ').skip(1)).args(["--help"]).run();
            assert_eq!(done.code, 0, "{line}: {done:?}");
        }
    }
}

const FORMATS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../keyfob/tests/fixtures/formats"
);
