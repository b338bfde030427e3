//! The profile that a sign-in by URL writes.

use std::fmt::Write;
use std::path::{Path, absolute};

use keyfob::oauth::{ProtectedResource, Registration};
use url::Url;

/// What the profile says.
pub(super) struct NewProfile<'a> {
    pub(super) name: &'a str,
    pub(super) resource: &'a ProtectedResource,
    pub(super) scopes: &'a [String],
    pub(super) registration: &'a Registration,
    /// How the client came about, as a comment.
    pub(super) about_client: &'a str,
    pub(super) ca_file: Option<&'a Path>,
}

impl NewProfile<'_> {
    /// The text for keyfob.toml. Servers wrote most of it, so each value is quoted.
    pub(super) fn to_toml(&self) -> String {
        let name = quoted(self.name);
        let base_url = base_url(self.resource.resource());
        let mut text = String::new();
        let mut line = |line: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
        };
        line(format!("[profiles.{name}]"));
        line("# From `keyfob login` with this URL. The API named the server and the scopes below (RFC 9728).".to_owned());
        line(format!("base_url = {}", quoted(&base_url)));
        if let Some(path) = self.ca_file {
            // The profile is used in other directories too.
            let path = absolute(path).unwrap_or_else(|_| path.to_owned());
            line(format!("ca_file = {}", quoted(&path.display().to_string())));
        }
        line(String::new());
        line(format!("[profiles.{name}.token]"));
        line("grant = \"authorization_code\"".to_owned());
        line(format!("issuer = {}", quoted(self.registration.issuer())));
        line(format!("# {}", self.about_client));
        line(format!(
            "client_id = {}",
            quoted(self.registration.client_id())
        ));
        line(format!(
            "redirect_uri = {}",
            quoted(self.registration.redirect_uri())
        ));
        line("# The tokens are for this API alone (RFC 8707).".to_owned());
        line(format!("resource = {}", quoted(self.resource.resource())));
        if !self.scopes.is_empty() {
            let scopes: Vec<_> = self.scopes.iter().map(|scope| quoted(scope)).collect();
            line(format!("scopes = [{}]", scopes.join(", ")));
        }
        // OpenID Connect Core §11: without consent, the server ignores the scope.
        if self.scopes.iter().any(|scope| scope == OFFLINE_ACCESS) {
            line("parameters = { prompt = \"consent\" }".to_owned());
        }
        text
    }
}

/// The text of a file in which this profile has another client.
///
/// `None` if the lines are not as [`NewProfile::to_toml`] writes them.
pub(super) fn with_client(text: &str, name: &str, registration: &Registration) -> Option<String> {
    // In a file with a text of several lines, a line may not be what it looks like.
    if text.contains("\"\"\"") || text.contains("'''") {
        return None;
    }
    let header = format!("[profiles.{}.token]", quoted(name));
    let new = [
        ("client_id", registration.client_id()),
        ("redirect_uri", registration.redirect_uri()),
    ];
    let (mut is_in_table, mut replaced) = (false, Vec::new());
    let mut changed = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        if content.trim_start().starts_with('[') {
            is_in_table = content == header;
        }
        let has_key = |key: &str| is_in_table && content.starts_with(&format!("{key} = \""));
        match new.iter().find(|(key, _)| has_key(key)) {
            Some((key, value)) if content.ends_with('"') => {
                replaced.push(*key);
                changed.push_str(&format!("{key} = {}", quoted(value)));
                changed.push_str(&line[content.len()..]);
            }
            _ => changed.push_str(line),
        }
    }
    replaced.sort_unstable();
    (replaced == ["client_id", "redirect_uri"]).then_some(changed)
}

/// The base URL for a resource. It has no query, because requests have their own.
pub(super) fn base_url(resource: &str) -> String {
    match Url::parse(resource) {
        Ok(mut url) => {
            url.set_query(None);
            url.to_string()
        }
        Err(_) => resource.to_owned(),
    }
}

/// A name for the profile of this URL: its host, and its port if that is unusual.
pub(super) fn name_for(url: &Url) -> String {
    let host = url.host_str().unwrap_or("api");
    let name = match url.port() {
        Some(port) => format!("{host}-{port}"),
        None => host.to_owned(),
    };
    let name = name.replace(':', "-");
    name.replace(
        |c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c),
        "",
    )
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            // Also what a terminal would obey or not show.
            _ if char.is_ascii_graphic() || char == ' ' => quoted.push(char),
            _ => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(char));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// The scope for which servers of OpenID Connect return a refresh token.
pub(super) const OFFLINE_ACCESS: &str = "offline_access";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_no_value_ends_its_string_in_the_file() {
        for text in [
            "a\"\ntoken = \"command:rm\"",
            "a\\",
            "a\\\"b",
            "a\r\nb\t\u{7f}",
            "]\n[profiles.evil]",
            "\u{202e}ä",
            "\"\"\"",
        ] {
            let line = format!("value = {}\n", quoted(text));
            assert_eq!(line.lines().count(), 1, "{line}");
            let profile = format!(
                "[profiles.a]\nbase_url = \"https://a.example\"\n[profiles.a.token]\ngrant = \"authorization_code\"\nissuer = \"https://a.example\"\nclient_id = {}\n",
                quoted(text)
            );
            let profiles = keyfob::Profiles::from_text(&profile).unwrap();
            assert_eq!(profiles.iter().count(), 1);
        }
    }

    #[test]
    fn only_the_lines_of_the_client_change() {
        let registration =
            Registration::new("https://a.example", "new\"", "http://127.0.0.1:2/callback");
        let table = |name: &str| {
            format!(
                "[profiles.\"{name}\".token]\r\n# mine\r\nclient_id = \"old\"\r\nredirect_uri = \"http://127.0.0.1:1/callback\""
            )
        };
        let text = format!("{}\r\n\r\n{}\r\n", table("b"), table("a"));
        let changed = with_client(&text, "a", &registration).unwrap();
        let new = table("a")
            .replace("\"old\"", "\"new\\\"\"")
            .replace(":1/", ":2/");
        assert_eq!(changed, format!("{}\r\n\r\n{new}\r\n", table("b")));
        for other in [
            text.replace("client_id = ", "client_id="),
            text.replace("\"old\"", "'old'"),
            text.replace("\"old\"", "\"old\" # mine"),
            text.replace("\"old\"", "\"\"\"old\nclient_id = \"x\""),
            text.replace("# mine", "note = '''\nclient_id = \"x\"'''"),
            text.replace("redirect_uri", "# redirect_uri"),
            text.replace("profiles.\"a\"", "profiles.a"),
        ] {
            assert_eq!(with_client(&other, "a", &registration), None, "{other}");
        }
    }

    #[test]
    fn the_name_is_the_host_and_an_unusual_port() {
        for (url, name) in [
            ("https://mcp.example.com/mcp", "mcp.example.com"),
            ("https://MCP.example.com:443/", "mcp.example.com"),
            ("http://127.0.0.1:3000/mcp", "127.0.0.1-3000"),
            ("http://[::1]:3000/mcp", "--1-3000"),
        ] {
            assert_eq!(name_for(&Url::parse(url).unwrap()), name);
        }
    }
}
