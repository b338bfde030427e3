//! Finds the profile file, and the profile for a URL.

use std::env;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use url::Url;
use zeroize::Zeroizing;

use crate::error::error::{Error, ErrorKind};
use crate::origin::origin::Origin;
use crate::token::secret_file::{FileUse, SecretFile};

/// The file that `KEYFOB_CONFIG` names.
pub(super) fn file_of_environment() -> Option<PathBuf> {
    // "If $XDG_CONFIG_HOME is either not set or empty, a default […] should be used" (XDG): an empty variable is none.
    let path = env::var_os("KEYFOB_CONFIG").filter(|path| !path.is_empty());
    path.map(PathBuf::from)
}

/// The file in the configuration directory; `None` if there is no such directory.
pub(super) fn default_file() -> Option<PathBuf> {
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.config_dir().join("keyfob").join(FILE))
}

/// The text of the file. It is overwritten when dropped, because the file may hold a secret by mistake.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, Error> {
    SecretFile::new(path, FileUse::Settings)
        .read()
        .map_err(|fault| fault.into_error(ErrorKind::Input, "the profile file"))
}

/// How well a profile fits a URL; `None` if its token must not be sent there.
///
/// The score is higher the more of the URL's path the base URL covers.
pub(super) fn score(base_url: Option<&Url>, origins: &[Origin], url: &Url) -> Option<usize> {
    let wanted = Origin::from_url(url).ok()?;
    // The origin of the base URL is among the origins too, so the path is compared first.
    let by_base = base_url.and_then(|base| {
        let is_origin = Origin::from_url(base).is_ok_and(|origin| origin == wanted);
        is_origin.then(|| covered_length(base.path(), url.path()))
    });
    by_base.or_else(|| origins.contains(&wanted).then_some(0))
}

/// The length of the base's path if it covers the other path; 0 if only the origin is the same.
fn covered_length(base: &str, path: &str) -> usize {
    let folder = base.trim_end_matches('/');
    match path.strip_prefix(folder) {
        // Whole segments only: `/v1` does not cover `/v11`. A base URL without a path still covers more than none (+ 1).
        Some(rest) if rest.is_empty() || rest.starts_with('/') => folder.len() + 1,
        _ => 0,
    }
}

pub(super) const FILE: &str = "keyfob.toml";

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(base: Option<&str>, origins: &[&str], url: &str) -> Option<usize> {
        let base = base.map(|base| Url::parse(base).unwrap());
        let origins: Vec<Origin> = origins.iter().map(|text| text.parse().unwrap()).collect();
        score(base.as_ref(), &origins, &Url::parse(url).unwrap())
    }

    #[test]
    fn r1_a_profile_fits_only_its_origins() {
        let origins = ["https://a.example"];
        assert_eq!(fit(None, &origins, "https://a.example/x"), Some(0));
        assert_eq!(fit(None, &origins, "https://a.example:8443/x"), None);
        assert_eq!(fit(None, &origins, "http://a.example/x"), None);
        assert_eq!(fit(None, &origins, "https://b.a.example/x"), None);
        assert_eq!(
            fit(Some("https://a.example/v1"), &[], "https://b.example/v1"),
            None
        );
    }

    #[test]
    fn a_longer_base_url_fits_better() {
        let base = Some("https://a.example/v1/");
        let origin = fit(base, &[], "https://a.example/v2").unwrap();
        let root = fit(Some("https://a.example"), &[], "https://a.example/v1/x").unwrap();
        let below = fit(base, &[], "https://a.example/v1/x").unwrap();
        assert!(origin < root && root < below, "{origin} {root} {below}");
        assert_eq!(fit(base, &[], "https://a.example/v1"), Some(below));
        assert_eq!(fit(base, &[], "https://a.example/v11"), Some(origin));
    }
}
