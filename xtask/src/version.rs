//! The version that a tool says it has.

/// The first two numbers of the last word of `cargo-deny 0.20.2`.
pub(crate) fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text
        .split_whitespace()
        .next_back()?
        .split('.')
        .map_while(|number| number.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(version("cargo-deny 0.20.2\n") >= Some((0, 18)));
        assert!(version("cargo-deny 0.9.10") < Some((0, 18)));
    }

    #[test]
    fn a_version_that_is_none_is_too_old() {
        assert!(version("") < Some((0, 18)));
        assert!(version("cargo-deny next") < Some((0, 18)));
    }
}
