//! Short ways to write a case.

use crate::case::{Body, Case, Client, Fault, Fetched, Listens, Request, Response, Script};
use crate::expectation::{Arrival, Arrivals, ArrivedBody, Ending, Expectation};
use crate::outcome::ErrorName;

impl Case {
    pub(super) fn new(group: &str, promise: &str, name: impl Into<String>) -> Self {
        Self {
            group: group.to_owned(),
            name: name.into(),
            promise: promise.to_owned(),
            client: Client::default(),
            requests: Vec::new(),
            servers: [].into(),
            expect: Vec::new(),
        }
    }

    /// Changes how the client is set up.
    pub(super) fn client(mut self, change: impl FnOnce(&mut Client)) -> Self {
        change(&mut self.client);
        self
    }

    /// The credential in a field of its own, if there is a name.
    pub(super) fn header(self, name: Option<&str>) -> Self {
        self.client(|client| client.header = name.map(str::to_owned))
    }

    pub(super) fn send(mut self, request: Request) -> Self {
        self.requests.push(request);
        self
    }

    /// A server that gives these responses and no other. Its name says what kind it is, see [`kind`].
    pub(super) fn server(
        mut self,
        name: &str,
        responses: impl IntoIterator<Item = Response>,
    ) -> Self {
        self.script(name).responses.extend(responses);
        self
    }

    /// A server that gives the same response to every request.
    pub(super) fn always(self, name: &str, response: Response) -> Self {
        self.server(name, []).then(name, response)
    }

    /// The response of a server after those in its list.
    fn then(mut self, name: &str, response: Response) -> Self {
        self.script(name).then = Some(response);
        self
    }

    fn script(&mut self, name: &str) -> &mut Script {
        self.servers.entry(name.to_owned()).or_insert(Script {
            listens: kind(name),
            responses: Vec::new(),
            then: None,
        })
    }

    /// Adds an outcome that is right; one of several is enough.
    pub(super) fn expect(mut self, expectation: Expectation) -> Self {
        self.expect.push(expectation);
        self
    }
}

/// `s` speaks https, `six` listens on `[::1]`, and nothing listens at `closed`.
fn kind(name: &str) -> Listens {
    match name {
        "s" => Listens::Tls,
        "six" => Listens::Ipv6,
        "closed" => Listens::Refused,
        _ => Listens::Plain,
    }
}

pub(super) fn request(method: &str, url: &str) -> Request {
    Request {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Body::None,
        idempotent: false,
    }
}

pub(super) fn get(url: &str) -> Request {
    request("GET", url)
}

impl Request {
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    pub(super) fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }
}

pub(super) fn bytes(text: &str) -> Body {
    Body::Bytes {
        text: text.to_owned(),
    }
}

pub(super) fn file(text: &str, offset: usize) -> Body {
    Body::File {
        text: text.to_owned(),
        offset,
        path: String::new(),
    }
}

pub(super) fn generator(pieces: &[&str]) -> Body {
    Body::Generator {
        pieces: pieces.iter().map(|&piece| piece.to_owned()).collect(),
    }
}

pub(super) fn status(status: u16) -> Response {
    Response {
        status,
        headers: Vec::new(),
        body: String::new(),
        gzip: false,
        fault: None,
    }
}

pub(super) fn ok() -> Response {
    status(200).text("fine")
}

pub(super) fn unauthorized(challenge: &str) -> Response {
    status(401).header("www-authenticate", challenge)
}

pub(super) fn redirect(code: u16, location: &str) -> Response {
    status(code).header("location", location)
}

pub(super) fn fault(fault: Fault) -> Response {
    ok().fails(fault)
}

impl Response {
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn text(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self
    }

    pub(super) fn compressed(mut self) -> Self {
        self.gzip = true;
        self
    }

    pub(super) fn fails(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }
}

/// A request that arrives with this token and without a body.
pub(super) fn with(token: &str, method: &str, path: &str) -> Arrival {
    Arrival {
        token: Some(token.to_owned()),
        ..bare(method, path)
    }
}

/// A request that arrives without a token and without a body.
pub(super) fn bare(method: &str, path: &str) -> Arrival {
    Arrival {
        method: method.to_owned(),
        path: path.to_owned(),
        token: None,
        body: ArrivedBody::None,
        headers: Vec::new(),
        target: None,
    }
}

impl Arrival {
    /// With the whole body of the first request.
    pub(super) fn whole(self) -> Self {
        self.body(ArrivedBody::Whole(0))
    }

    pub(super) fn body(mut self, body: ArrivedBody) -> Self {
        self.body = body;
        self
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        let header = (name.to_owned(), Some(value.to_owned()));
        self.headers.push(header);
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.push((name.to_owned(), None));
        self
    }

    pub(super) fn target(mut self, authority: &str) -> Self {
        self.target = Some(authority.to_owned());
        self
    }
}

pub(super) fn expect() -> Expectation {
    Expectation::default()
}

impl Expectation {
    pub(super) fn at(mut self, server: &str, arrivals: impl IntoIterator<Item = Arrival>) -> Self {
        let arrivals = Arrivals::These(arrivals.into_iter().collect());
        self.at.insert(server.to_owned(), arrivals);
        self
    }

    /// The server receives one more request.
    pub(super) fn arrives(mut self, server: &str, arrival: Arrival) -> Self {
        let nothing = || Arrivals::These(Vec::new());
        let arrivals = self.at.entry(server.to_owned()).or_insert_with(nothing);
        if let Arrivals::These(arrivals) = arrivals {
            arrivals.push(arrival);
        }
        self
    }

    /// The server receives what it may, but no token.
    pub(super) fn no_token_at(mut self, server: &str) -> Self {
        self.at.insert(server.to_owned(), Arrivals::WithoutToken);
        self
    }

    pub(super) fn at_most(mut self, server: &str, requests: usize) -> Self {
        self.at
            .insert(server.to_owned(), Arrivals::AtMost(requests));
        self
    }

    /// It does not matter what the server receives.
    pub(super) fn anything_at(mut self, server: &str) -> Self {
        self.at.insert(server.to_owned(), Arrivals::Anything);
        self
    }

    pub(super) fn ends(self, status: u16) -> Self {
        self.response(status, None)
    }

    pub(super) fn ends_with(self, status: u16, body: &str) -> Self {
        self.response(status, Some(body))
    }

    fn response(mut self, status: u16, body: Option<&str>) -> Self {
        self.caller.push(Ending::Response {
            status,
            body: body.map(str::to_owned),
            headers: Vec::new(),
        });
        self
    }

    /// The last response has this field too.
    pub(super) fn field(mut self, name: &str, value: &str) -> Self {
        if let Some(Ending::Response { headers, .. }) = self.caller.last_mut() {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub(super) fn fails(mut self, kinds: impl IntoIterator<Item = ErrorName>) -> Self {
        let kinds = kinds.into_iter().collect();
        self.caller.push(Ending::Error(kinds));
        self
    }

    pub(super) fn fetches(mut self, calls: u32) -> Self {
        self.fetches = Some(calls);
        self
    }
}

/// What the nth call of the source brings.
pub(super) fn token(text: &str) -> Fetched {
    Fetched::Token(text.to_owned())
}
