//! Which of several profiles a URL is of.

use url::Url;

use crate::origin::origin::Origin;

/// How well a profile fits a URL, if its credential may go there at all.
///
/// A base URL that the URL lies below fits the better the longer its path is.
pub(super) fn fit(base_url: Option<&Url>, origins: &[Origin], url: &Url) -> Option<usize> {
    let wanted = Origin::from_url(url).ok()?;
    let of_base = base_url.and_then(|base| {
        let is_origin = Origin::from_url(base).is_ok_and(|origin| origin == wanted);
        is_origin.then(|| below(base.path(), url.path()))
    });
    of_base.or_else(|| origins.contains(&wanted).then_some(0))
}

/// The length of the base's path, if the other path lies below it; else nothing fits but the origin.
fn below(base: &str, path: &str) -> usize {
    let folder = base.trim_end_matches('/');
    match path.strip_prefix(folder) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => folder.len() + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(base: Option<&str>, origins: &[&str], url: &str) -> Option<usize> {
        let base = base.map(|base| Url::parse(base).unwrap());
        let origins: Vec<Origin> = origins.iter().map(|text| text.parse().unwrap()).collect();
        fit(base.as_ref(), &origins, &Url::parse(url).unwrap())
    }

    #[test]
    fn r1_a_profile_fits_its_origins_alone() {
        let origins = ["https://a.example"];
        assert_eq!(fits(None, &origins, "https://a.example/x"), Some(0));
        assert_eq!(fits(None, &origins, "https://a.example:8443/x"), None);
        assert_eq!(fits(None, &origins, "http://a.example/x"), None);
        assert_eq!(fits(None, &origins, "https://b.a.example/x"), None);
        assert_eq!(
            fits(Some("https://a.example/v1"), &[], "https://b.example/v1"),
            None
        );
    }

    #[test]
    fn a_longer_base_fits_better() {
        let base = Some("https://a.example/v1/");
        let origin = fits(base, &[], "https://a.example/v2").unwrap();
        let root = fits(Some("https://a.example"), &[], "https://a.example/v1/x").unwrap();
        let below = fits(base, &[], "https://a.example/v1/x").unwrap();
        assert!(origin < root && root < below, "{origin} {root} {below}");
        assert_eq!(fits(base, &[], "https://a.example/v1"), Some(below));
        assert_eq!(fits(base, &[], "https://a.example/v11"), Some(origin));
    }
}
