//! Where the request goes.

use keyfob::Origin;
use url::ParseError;
use url::Url;

use crate::exit::Exit;
use crate::fault::Fault;

/// Reads a URL as people type it, and adds to its query.
///
/// Without a scheme it is `https`, because a token goes there, and `http` on this machine.
pub(super) fn read(text: &str, query: &[(String, String)]) -> Result<Url, Fault> {
    let mut url = absolute(text)?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

fn absolute(text: &str) -> Result<Url, Fault> {
    if text.contains("://") {
        return Url::parse(text).map_err(unreadable);
    }
    if METHODS.contains(&text) {
        return Err(Fault::usage(format!(
            "there is a method, {text}, but no URL"
        )));
    }
    if text.starts_with(['/', '.', '?', '#']) {
        return Err(Fault::usage(
            "the URL is relative and names no server; give it in full, such as https://api.example.com/path",
        ));
    }
    let secure = Url::parse(&format!("https://{text}")).map_err(unreadable)?;
    if Origin::from_url(&secure)?.is_loopback() {
        return Url::parse(&format!("http://{text}")).map_err(unreadable);
    }
    Ok(secure)
}

/// Does not quote the URL, whose query may be confidential.
fn unreadable(fault: ParseError) -> Fault {
    Fault::new(Exit::Usage, format!("the URL cannot be read: {fault}"))
}

const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_scheme_is_secure_unless_it_is_this_machine() {
        for (text, url) in [
            ("api.example.com/x", "https://api.example.com/x"),
            ("localhost:8080/x", "http://localhost:8080/x"),
            ("127.0.0.1", "http://127.0.0.1/"),
            ("http://api.example.com", "http://api.example.com/"),
        ] {
            assert_eq!(read(text, &[]).unwrap().as_str(), url);
        }
    }

    #[test]
    fn the_query_grows() {
        let query = [("b".to_owned(), "x y&".to_owned())];
        let url = read("https://h/?a=1", &query).unwrap();
        assert_eq!(url.query(), Some("a=1&b=x+y%26"));
    }

    #[test]
    fn a_url_without_a_server_is_refused() {
        for text in ["/v1/items", "./items", "../items", "?a=1", "//h/x"] {
            assert_eq!(read(text, &[]).unwrap_err().exit(), Exit::Usage, "{text}");
        }
    }

    #[test]
    fn a_method_alone_is_no_url() {
        assert_eq!(read("GET", &[]).unwrap_err().exit(), Exit::Usage);
    }
}
