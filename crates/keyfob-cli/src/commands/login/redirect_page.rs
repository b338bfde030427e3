//! A private page that leads the browser to the authorization server.
//!
//! The address of the sign-in contains the `state`. In the arguments of the browser, every user of this machine could read it, and
//! end the sign-in with a response of their own.

use std::env::{temp_dir, var_os};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

use tempfile::{Builder, TempDir};

/// A page in a directory of its own. Both can be read by their owner only, and are removed when this is dropped.
pub(super) struct RedirectPage {
    path: PathBuf,
    _directory: TempDir,
}

impl RedirectPage {
    pub(super) fn new(url: &str) -> io::Result<Self> {
        let directory = private_directory()?;
        let path = directory.path().join("sign-in.html");
        private_file(&path)?.write_all(html(url).as_bytes())?;
        Ok(Self {
            path,
            _directory: directory,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// A new directory, if possible in the one of this login session, which no other user can enter.
fn private_directory() -> io::Result<TempDir> {
    let mut directory = Builder::new();
    directory.prefix("keyfob-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        directory.permissions(fs::Permissions::from_mode(0o700));
    }
    let session = var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let session = session.filter(|path| path.is_absolute());
    match session.map(|session| directory.tempdir_in(session)) {
        Some(Ok(created)) => Ok(created),
        _ => directory.tempdir_in(temp_dir()),
    }
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

fn html(url: &str) -> String {
    let url = url
        .replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta http-equiv=\"refresh\" content=\"0; url={url}\">\n<title>Sign in</title>\n\
         <p><a href=\"{url}\">Continue to the sign-in</a></p>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_leads_to_the_url_and_to_nothing_else() {
        let page = html("https://a.example/?a=1&b=\"><script>");
        assert!(page.contains("0; url=https://a.example/?a=1&amp;b=&quot;&gt;&lt;script&gt;\""));
        assert!(!page.contains("<script"));
    }
}
