//! The variables by which programs are told of a proxy and of certificate authorities.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use keyfob::Origin;

use crate::commands::run::proxy::files::{AUTHORITY_VARIABLES, Files};

/// Variables for the program; those without a value are removed.
pub(super) struct Variables(Vec<(String, Option<OsString>)>);

impl Variables {
    /// For the proxy at this URL. Its servers must not be reached past it.
    pub(super) fn new(proxy: &str, files: &Files, bound: &[&Origin]) -> Self {
        let mut variables = Vec::new();
        let both_cases = |name: &str| [name.to_owned(), name.to_ascii_lowercase()];
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
            for name in both_cases(name) {
                variables.push((name, Some(proxy.into())));
            }
        }
        // Only the first that is set counts for most programs.
        let direct = ["NO_PROXY", "no_proxy"]
            .into_iter()
            .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
        let direct = direct.map(|list| without_bound(&list, bound));
        let direct = direct.filter(|list| !list.is_empty());
        for name in both_cases("NO_PROXY") {
            variables.push((name, direct.clone().map(Into::into)));
        }
        for name in AUTHORITY_VARIABLES {
            variables.push((name.to_owned(), Some(files.authorities().into())));
        }
        variables.push(("NODE_USE_ENV_PROXY".to_owned(), Some("1".into())));
        variables.push(("NODE_OPTIONS".to_owned(), Some(node_options(files))));
        Self(variables)
    }

    pub(super) fn set(&self, command: &mut Command) {
        for (name, value) in &self.0 {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
    }
}

/// The hosts of a `NO_PROXY` list that are reached directly, less those that are bound.
fn without_bound(list: &str, bound: &[&Origin]) -> String {
    let is_bound = |entry: &str| bound.iter().any(|origin| covers(entry, origin));
    let rest: Vec<_> = list
        .split([',', ' '])
        .filter(|entry| !entry.is_empty() && !is_bound(entry))
        .collect();
    rest.join(",")
}

/// Whether an entry of a `NO_PROXY` list may cover a server. A network of addresses is not computed: it covers each address.
fn covers(entry: &str, origin: &Origin) -> bool {
    let host = host_of(origin);
    let entry = entry.to_ascii_lowercase();
    let is_address = host.starts_with('[') || host.ends_with(|c: char| c.is_ascii_digit());
    if entry == "*" || entry.contains('/') && is_address {
        return true;
    }
    // With or without a port, a leading dot or star, and brackets.
    let has_port = entry.matches(':').count() == 1 || entry.contains("]:");
    let name = match entry.rsplit_once(':') {
        Some((name, _)) if has_port => name,
        _ => &*entry,
    };
    let name = name.trim_start_matches('*').trim_matches(['.', '[', ']']);
    let host = host.trim_matches(['[', ']']);
    let above = host.strip_suffix(name);
    !name.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

/// The host of an origin, as its text has it.
fn host_of(origin: &Origin) -> String {
    let text = origin.to_string();
    let authority = text.split("://").nth(1).unwrap_or_default();
    let end = authority
        .find(']')
        .map_or_else(|| authority.find(':'), |at| Some(at + 1));
    authority[..end.unwrap_or(authority.len())].to_owned()
}

/// The options of the user, and the module for versions of Node.js that know no proxy.
fn node_options(files: &Files) -> OsString {
    let mut options = env::var_os("NODE_OPTIONS").unwrap_or_default();
    if !options.is_empty() {
        options.push(" ");
    }
    let path = files.node_module().display().to_string();
    // Node.js reads quotes and backslashes as in a string of C.
    let path = path.replace('\\', "\\\\").replace('"', "\\\"");
    options.push(format!("--require \"{path}\""));
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p8_no_proxy_keeps_what_is_not_bound() {
        let origins: [Origin; 3] = [
            "https://api.example.com",
            "https://10.1.2.3:8443",
            "https://[::1]:99",
        ]
        .map(|text| text.parse().unwrap());
        let bound: Vec<_> = origins.iter().collect();
        for (list, rest) in [
            ("localhost,intern.example", "localhost,intern.example"),
            ("*", ""),
            ("example.com, .example.com,*.example.com", ""),
            ("API.example.com:443", ""),
            ("xapi.example.com", "xapi.example.com"),
            ("i.example.com", "i.example.com"),
            ("10.0.0.0/8,192.168.0.1", "192.168.0.1"),
            ("::1,[::1]:99,::2", "::2"),
            ("10.1.2.3", ""),
        ] {
            assert_eq!(without_bound(list, &bound), rest, "{list}");
        }
    }
}
