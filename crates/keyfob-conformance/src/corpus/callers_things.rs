//! R9: the credential wins over others, and everything else of the caller is kept.

use crate::case::{Case, Request};
use crate::corpus::builders::{bytes, expect, get, ok, redirect, request, with};
use crate::expectation::Arrival;

pub(super) fn cases() -> Vec<Case> {
    let data = || with("token-1", "GET", "/data");
    let mut cases = vec![
        plain(
            "the credential wins over an Authorization of the request",
            get("{a}/data").header("authorization", "Basic Y2FsbGVyOnM="),
            data(),
        ),
        plain(
            "the credential wins over the userinfo of the URL",
            get("http://user:pass@127.0.0.1:{a.port}/data"),
            data(),
        ),
        plain(
            "the credential wins over a user name alone in the URL",
            get("http://user@127.0.0.1:{a.port}/data"),
            data(),
        ),
        plain(
            "the caller's fields are kept",
            get("{a}/data")
                .header("x-kept", "yes")
                .header("accept", "text/x-odd")
                .header("user-agent", "the-caller/1"),
            data()
                .header("x-kept", "yes")
                .header("accept", "text/x-odd")
                .header("user-agent", "the-caller/1"),
        ),
        plain(
            "the query is kept",
            get("{a}/data?b=2&a=1%2F&empty=&b=3"),
            with("token-1", "GET", "/data?b=2&a=1%2F&empty=&b=3"),
        ),
        plain(
            "the content type is kept",
            request("POST", "{a}/data")
                .header("content-type", "text/x-odd")
                .body(bytes("an order")),
            with("token-1", "POST", "/data")
                .whole()
                .header("content-type", "text/x-odd"),
        ),
        plain(
            "a cookie of the request is kept",
            get("{a}/data").header("cookie", "session=1"),
            data().header("cookie", "session=1"),
        ),
        plain(
            "a credential in a custom field wins over the caller's",
            get("{a}/data").header("x-api-key", "mine"),
            data(),
        )
        .header(Some("x-api-key")),
        plain(
            "the credential wins over an Authorization of the client's defaults",
            get("{a}/data"),
            data().header("x-default", "yes"),
        )
        .client(|client| {
            client.default_headers = [
                ("authorization", "Basic ZGVmYXVsdA=="),
                ("x-default", "yes"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        }),
        plain(
            "the client's default fields are sent",
            get("{a}/data"),
            data().header("x-default", "yes"),
        )
        .client(|client| {
            client.default_headers = vec![("x-default".to_owned(), "yes".to_owned())];
        }),
    ];
    for netrc in NETRC {
        cases.push(
            plain(
                format!(
                    "the credential wins over a netrc file that begins {:?}",
                    &netrc[..7]
                ),
                get("{a}/data"),
                data(),
            )
            .client(|client| client.netrc = Some((*netrc).to_owned())),
        );
    }
    cases.push(
        case("the credential wins over netrc and userinfo after a redirect")
            .client(|client| client.netrc = Some(NETRC[0].to_owned()))
            .send(get("http://user:pass@127.0.0.1:{a.port}/start"))
            .server(
                "a",
                [
                    redirect(302, "http://other:pass@127.0.0.1:{a.port}/data"),
                    ok(),
                ],
            )
            .expect(
                expect()
                    .at("a", [with("token-1", "GET", "/start"), data()])
                    .ends_with(200, "fine"),
            ),
    );
    cases
}

fn plain(name: impl Into<String>, request: Request, arrival: Arrival) -> Case {
    case(name)
        .send(request)
        .server("a", [ok()])
        .expect(expect().at("a", [arrival]).ends_with(200, "fine"))
}

fn case(name: impl Into<String>) -> Case {
    Case::new("caller", "R9", name)
}

const NETRC: &[&str] = &[
    "machine 127.0.0.1 login netrc password s3cret\n",
    "default login netrc password s3cret\n",
];
