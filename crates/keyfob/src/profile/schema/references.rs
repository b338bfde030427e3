//! References between profiles: each names a profile of the file, and they form no circle.

use crate::profile::errors::{FileErrors, suggestion};
use crate::profile::schema::token::ProfileRef;

/// The name of a profile, and the profiles whose tokens it needs.
pub(super) type References<'d> = (&'d str, Vec<&'d ProfileRef>);

/// Reports references to profiles that do not exist, and circles.
pub(super) fn check_references(profiles: &[References<'_>], errors: &FileErrors<'_>) {
    for (profile, references) in profiles {
        for reference in references {
            if find(profiles, &reference.name).is_none() {
                let names = profiles.iter().map(|(name, _)| *name);
                let suggestion = suggestion(&reference.name, names);
                errors.add(
                    &reference.at,
                    format!("`profile:` names a profile that is not in this file{suggestion}"),
                );
            }
            report_circle(profile, reference, profiles, errors);
        }
    }
}

/// Reports a circle through this reference, once: at the profile whose name is the first of the circle.
fn report_circle(
    profile: &str,
    reference: &ProfileRef,
    profiles: &[References<'_>],
    errors: &FileErrors<'_>,
) {
    let mut path = vec![profile];
    if !leads_back(&reference.name, &mut path, profiles) {
        return;
    }
    if path.iter().all(|name| *name >= profile) {
        let circle = path.join("` → `");
        errors.add(
            &reference.at,
            format!(
                "the token of the profile would be fetched with itself: `{circle}` → `{profile}`; remove one of these references"
            ),
        );
    }
}

/// Whether the references of a profile lead to the first of the path. The path then holds the way.
fn leads_back<'d>(name: &'d str, path: &mut Vec<&'d str>, profiles: &[References<'d>]) -> bool {
    if name == path[0] {
        return true;
    }
    // Another circle, which is reported for its own profiles.
    if path.contains(&name) {
        return false;
    }
    path.push(name);
    for reference in find(profiles, name).unwrap_or_default() {
        if leads_back(&reference.name, path, profiles) {
            return true;
        }
    }
    path.pop();
    false
}

fn find<'p, 'd>(profiles: &'p [References<'d>], name: &str) -> Option<&'p [&'d ProfileRef]> {
    let (_, references) = profiles.iter().find(|(other, _)| *other == name)?;
    Some(references)
}
