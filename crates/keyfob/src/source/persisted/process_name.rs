//! How a process is called in a note that others read.

use std::process;

/// This process and its machine, for people.
pub(super) fn this_process() -> String {
    match machine::name() {
        Some(machine) => format!("process {} on {machine}", process::id()),
        None => format!("process {}", process::id()),
    }
}

#[cfg(unix)]
mod machine {
    pub(super) fn name() -> Option<String> {
        let names = rustix::system::uname();
        let name = names.nodename().to_str().ok()?;
        Some(name.chars().filter(|c| !c.is_control()).collect())
    }
}

#[cfg(not(unix))]
mod machine {
    pub(super) fn name() -> Option<String> {
        None
    }
}
