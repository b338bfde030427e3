//! Programs that the tests do not install. Shared with the tests of `keyfob run`.

/// True if a program that no registry has is installed all the same.
pub(crate) fn is_installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).exists())
}
