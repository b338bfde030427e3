//! What is to be added to the file of a program.

use std::path::PathBuf;

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
