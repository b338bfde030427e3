//! The user name that goes with a token where a program can send only a user and a password.

/// The name that git servers take for a token.
pub(super) fn for_git(host: &str) -> &'static str {
    // A GitLab of a company has no other name that tells.
    let of_company = || host.starts_with("gitlab.").then_some("oauth2");
    let found = find(GIT, host).or_else(of_company);
    found.unwrap_or("x-access-token")
}

/// The name that registries of images take for a token.
///
/// `<token>` is docker's word for an identity token: the registry's token endpoint takes it as a refresh token.
pub(super) fn for_docker(host: &str) -> &'static str {
    find(DOCKER, host).unwrap_or("oauth2accesstoken")
}

fn find(names: &[(&str, &'static str)], host: &str) -> Option<&'static str> {
    let is_at = |suffix: &str| {
        let rest = host.strip_suffix(suffix);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let found = names.iter().find(|(suffix, _)| is_at(suffix));
    found.map(|(_, name)| *name)
}

/// Other servers, GitHub, Gitea and Azure DevOps among them, take any name.
const GIT: &[(&str, &str)] = &[("gitlab.com", "oauth2"), ("bitbucket.org", "x-token-auth")];

/// Other registries take any name, or the name of the account.
const DOCKER: &[(&str, &str)] = &[
    ("azurecr.io", "00000000-0000-0000-0000-000000000000"),
    ("quay.io", "$oauthtoken"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_follows_from_the_host_and_never_from_a_part_of_a_label() {
        assert_eq!(for_git("gitlab.com"), "oauth2");
        assert_eq!(for_git("gitlab.example.com"), "oauth2");
        assert_eq!(for_git("notgitlab.com"), "x-access-token");
        assert_eq!(for_git("example.com.gitlab"), "x-access-token");
        assert_eq!(
            for_docker("a.azurecr.io"),
            "00000000-0000-0000-0000-000000000000"
        );
        assert_eq!(for_docker("quay.io.evil.example"), "oauth2accesstoken");
    }
}
