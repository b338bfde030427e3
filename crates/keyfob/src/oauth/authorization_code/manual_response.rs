//! An authorization response that a person copies from a browser on another machine.

use std::convert::Infallible;
use std::fmt;

use futures_channel::mpsc::UnboundedSender;
use futures_channel::oneshot;
use futures_util::FutureExt;
use url::form_urlencoded;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::oauth::authorization_code::listener::{BrowserRequest, Sender};
use crate::oauth::authorization_code::page::Page;

/// Takes the response of the server from a person, if the browser runs on another machine.
///
/// Over SSH, the browser cannot open the redirect URI, which is an address of this machine. The person copies the address of
/// that page from the browser, and the program passes it to [`submit`](Self::submit), while
/// [`wait`](crate::oauth::AuthorizationRequest::wait) runs. It is checked as the listener checks a redirect: the `state` (RFC
/// 6749 §10.12) and the issuer (RFC 9207).
///
/// ```no_run
/// # async fn example(sign_in: keyfob::oauth::AuthorizationCode, copied: &str) -> Result<(), keyfob::Error> {
/// let request = sign_in.start().await?;
/// let manual = request.manual_response();
/// let waiting = tokio::spawn(request.wait());
/// if manual.submit(copied).await.is_err() {
///     println!("This is not the address of this sign-in; copy all of it");
/// }
/// let token = waiting.await.expect("it does not panic")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct ManualResponse {
    pub(crate) requests: UnboundedSender<BrowserRequest>,
    pub(crate) redirect_uri: String,
}

impl ManualResponse {
    /// Passes on the address of the browser's last page, its query alone, or the code and the `state` with a space between.
    ///
    /// Completes when the sign-in has ended; [`wait`](crate::oauth::AuthorizationRequest::wait) returns its outcome.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the text does not belong to this sign-in, which then continues, or if
    /// the sign-in has ended. The error does not quote the text.
    pub async fn submit(&self, text: &str) -> Result<(), Error> {
        let query = self.query_of(text).ok_or_else(unrelated)?;
        let (page, shown) = oneshot::channel();
        // There is no browser that has to receive the page.
        let (_, closed) = oneshot::channel::<Infallible>();
        let request = BrowserRequest {
            query,
            sender: Sender::Person,
            page,
            closed: closed.shared(),
        };
        let ended = || Error::input("the sign-in has ended; start it again");
        self.requests.unbounded_send(request).map_err(|_| ended())?;
        match shown.await {
            Ok(Page::Unrelated) => Err(unrelated()),
            Ok(_) => Ok(()),
            Err(_) => Err(ended()),
        }
    }

    /// The query of the response. `None` for an address that is not the redirect URI, and for a part of a response.
    pub(crate) fn query_of(&self, text: &str) -> Option<Zeroizing<String>> {
        // As in the source of a page.
        let text = Zeroizing::new(without_quotes(text).replace("&amp;", "&"));
        // Without one of these it is no response, but for example the second line of an address that was wrapped.
        self.parameters_of(&text).filter(|query| {
            form_urlencoded::parse(query.as_bytes())
                .any(|(name, _)| name == "code" || name == "error")
        })
    }

    fn parameters_of(&self, text: &str) -> Option<Zeroizing<String>> {
        if let Some((address, query)) = text.split_once('?') {
            let authority_and_path = self.redirect_uri.strip_prefix("http://");
            // Some browsers do not copy the scheme.
            let is_ours =
                [Some(""), Some(&*self.redirect_uri), authority_and_path].contains(&Some(address));
            return is_ours.then(|| without_fragment(query));
        }
        let mut words = text.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(query), None, None) => Some(without_fragment(query)),
            (Some(code), Some(state), None) => {
                let mut query = Serializer::new(String::new());
                query.append_pair("code", code).append_pair("state", state);
                Some(Zeroizing::new(query.finish()))
            }
            _ => None,
        }
    }
}

/// The text without what programs put around an address, such as quotes.
fn without_quotes(text: &str) -> &str {
    let mut text = text.trim_start_matches('\u{feff}').trim();
    while let Some(inner) = QUOTES
        .iter()
        .find_map(|(start, end)| text.strip_prefix(*start)?.strip_suffix(*end))
    {
        text = inner.trim();
    }
    text
}

fn without_fragment(query: &str) -> Zeroizing<String> {
    let query = query.split('#').next().unwrap_or_default();
    Zeroizing::new(query.to_owned())
}

const QUOTES: [(char, char); 4] = [('"', '"'), ('\'', '\''), ('`', '`'), ('<', '>')];

fn unrelated() -> Error {
    Error::input(
        "this is not a response of this sign-in; copy the whole address of the browser's last page, with `code` and `state`",
    )
}

impl fmt::Debug for ManualResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualResponse")
            .field("redirect_uri", &self.redirect_uri)
            .finish_non_exhaustive()
    }
}
