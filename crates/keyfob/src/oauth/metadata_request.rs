//! Fetches the metadata of a server, and says why they cannot be used.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, ready, select};
use http::header::{AGE, CACHE_CONTROL, EXPIRES, LOCATION};
use http::{HeaderMap, StatusCode};

use crate::clock::clock::within;
use crate::error::error::Error;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::http_client::{HttpClient, ServerResponse};
use crate::oauth::issuer_mismatch::other_issuer;
use crate::oauth::metadata::{
    Document, EndpointRules, Metadata, smart_configuration_url, well_known_urls,
};

/// Metadata, and how long they may be used.
pub(crate) struct FetchedMetadata {
    pub(crate) metadata: Metadata,
    pub(crate) document: Document,
    pub(crate) source: Endpoint,
    pub(crate) lifetime: Duration,
    /// Whether they may be kept on a disk (RFC 9111 §5.2.2.5).
    pub(crate) may_be_stored: bool,
}

/// Why there is no document at a URL, the most telling reason last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Absent,
    Unusable,
    OtherIssuer,
    /// Temporary: the right document may be there later.
    Failed,
}

impl FetchedMetadata {
    /// Fetches the metadata of an issuer: from the URL of RFC 8414 §3, or else from that of OpenID Connect Discovery.
    ///
    /// A server that knows only one of the URLs may send anything from the other, even another issuer's document, or nothing.
    /// So the second URL is asked for after a failure, or if there is no response for a while.
    pub(crate) async fn of_issuer(
        http: &HttpClient,
        issuer: &str,
        rules: &EndpointRules,
    ) -> Result<Self, Error> {
        let [oauth, openid] = well_known_urls(issuer, &rules.plain_http)?;
        let mut first = pin!(fetch(http, &oauth, Some(issuer), rules));
        let first = match within(&*http.clock, HEAD_START, first.as_mut()).await {
            Some(result) => Either::Left(ready(result)),
            None => Either::Right(first),
        };
        let second = pin!(fetch(http, &openid, Some(issuer), rules));
        let (result, other) = select(first, second).await.factor_first();
        let one = match result {
            Ok(found) => return Ok(found),
            Err(fault) => fault,
        };
        let (fault, error) = match other.await {
            Ok(found) => return Ok(found),
            Err(other) if other.0 >= one.0 => other,
            Err(_) => one,
        };
        // The URL of a document, which people take for the issuer.
        match fault <= Fault::Unusable && issuer.contains("/.well-known/") {
            true => Err(error.advised("give the issuer without `/.well-known/…`")),
            false => Err(error),
        }
    }

    /// Fetches the SMART configuration of a FHIR server (SMART App Launch 2.2, Conformance).
    pub(crate) async fn of_fhir_server(
        http: &HttpClient,
        base: &str,
        rules: &EndpointRules,
    ) -> Result<Self, Error> {
        let url = smart_configuration_url(base, &rules.plain_http)?;
        fetch(http, &url, None, rules)
            .await
            .map_err(|(_, error)| error)
    }
}

async fn fetch(
    http: &HttpClient,
    url: &Endpoint,
    issuer: Option<&str>,
    rules: &EndpointRules,
) -> Result<FetchedMetadata, (Fault, Error)> {
    let response = http
        .get(url)
        .await
        .map_err(|error| (Fault::Failed, error))?;
    if response.status != StatusCode::OK {
        return Err(cannot_be_fetched(url, &response));
    }
    let unusable = |error| (Fault::Unusable, error);
    let mut document = Document::read(&response.object(url).map_err(unusable)?);
    // RFC 8414 §3.3: otherwise "the data contained in the response MUST NOT be used": one server could pose as another.
    if let Some(issuer) = issuer
        && document.issuer.as_deref() != Some(issuer)
    {
        let found = document.issuer.as_deref();
        return Err((Fault::OtherIssuer, other_issuer(url, found, issuer)));
    }
    document.keep_issuer(issuer);
    Ok(FetchedMetadata {
        metadata: Metadata::new(document.clone(), Some(url), rules).map_err(unusable)?,
        document,
        source: url.clone(),
        lifetime: lifetime(&response.headers, response.received),
        may_be_stored: !has_directive(&response.headers, "no-store"),
    })
}

fn cannot_be_fetched(url: &Endpoint, response: &ServerResponse) -> (Fault, Error) {
    let status = response.status;
    let fault = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Fault::Failed,
        // Of a proxy, which says nothing about the server.
        StatusCode::PROXY_AUTHENTICATION_REQUIRED | StatusCode::NETWORK_AUTHENTICATION_REQUIRED => {
            Fault::Failed
        }
        // Some servers respond with 500 to a path that they do not know.
        _ => Fault::Absent,
    };
    // Never a permanent error: a server that is being set up has no metadata yet.
    let error = Error::unavailable(format!("{url} cannot be fetched ({})", status.as_u16()));
    let error = match status.is_redirection() && response.headers.contains_key(LOCATION) {
        true => error.advised(
            "it redirects, and redirects are not followed: configure the server at its final URL",
        ),
        false => error,
    };
    (fault, response.add_pause(error))
}

/// How long the server lets a document be used (RFC 9111 §4.2.1), within bounds.
fn lifetime(headers: &HeaderMap, received: SystemTime) -> Duration {
    let seconds = |text: &str| {
        text.trim()
            .trim_matches('"')
            .parse()
            .ok()
            .map(Duration::from_secs)
    };
    let age = headers.get(AGE).and_then(|age| seconds(age.to_str().ok()?));
    let max_age =
        directives(headers).find_map(|directive| seconds(directive.strip_prefix("max-age=")?));
    let fresh_for = match max_age {
        _ if has_directive(headers, "no-cache") => Some(Duration::ZERO),
        Some(max_age) => Some(max_age.saturating_sub(age.unwrap_or_default())),
        None => headers.get(EXPIRES).map(|expires| {
            let expires = expires
                .to_str()
                .ok()
                .and_then(|text| httpdate::parse_http_date(text).ok());
            // RFC 9111 §5.3: a date that cannot be read is in the past.
            let left = expires.and_then(|time| time.duration_since(received).ok());
            left.unwrap_or_default()
        }),
    };
    fresh_for
        .unwrap_or(DEFAULT_LIFETIME)
        .clamp(SHORTEST_LIFETIME, LONGEST_LIFETIME)
}

fn directives(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| {
        text.split(',')
            .map(|directive| directive.trim().to_ascii_lowercase())
    })
}

fn has_directive(headers: &HeaderMap, name: &str) -> bool {
    directives(headers).any(|directive| directive == name)
}

/// How long the URL of RFC 8414 is waited for before that of OpenID is asked for too.
const HEAD_START: Duration = Duration::from_secs(5);

pub(crate) const DEFAULT_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Endpoints rarely move, and a document that leads to a failure is fetched again anyway.
pub(crate) const SHORTEST_LIFETIME: Duration = Duration::from_secs(60);

/// A server that wrote too long a time by mistake must be able to correct it.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lifetime_is_that_of_the_server_within_bounds() {
        let received = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (name, value, seconds) in [
            ("x-none", "", 3600),
            ("cache-control", "public, Max-Age=600", 600),
            ("cache-control", "max-age=0", 60),
            ("cache-control", "max-age=999999999", 86_400),
            ("cache-control", "no-cache, max-age=600", 60),
            ("cache-control", "max-age=soon", 3600),
            ("expires", "Sun, 06 Nov 1994 08:59:37 GMT", 600),
            ("expires", "0", 60),
        ] {
            let headers = HeaderMap::from_iter([(
                name.parse::<http::HeaderName>().unwrap(),
                value.parse().unwrap(),
            )]);
            assert_eq!(
                lifetime(&headers, received).as_secs(),
                seconds,
                "{name}: {value}"
            );
        }
    }
}
