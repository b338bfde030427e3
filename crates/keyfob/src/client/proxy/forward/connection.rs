//! One connection of the program, and the requests on it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;

use http::header::PROXY_AUTHORIZATION;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::proxy::body::ProxyBody;
use crate::client::proxy::forward::authority::RunAuthority;
use crate::client::proxy::forward::bound_origin::BoundOrigin;
use crate::client::proxy::forward::destination::AllowedHosts;
use crate::client::proxy::forward::form::Form;
use crate::client::proxy::forward::refusal::Refusal;
use crate::client::proxy::forward::stand_in::basic;
use crate::client::proxy::forward::target::{check_inside, of_absolute, of_connect};
use crate::client::proxy::forward::tls::{TlsFailure, accept};
use crate::client::proxy::forward::tunnel::{ResponseBody, pass_on, send};
use crate::client::proxy::server::Server;
use crate::client::proxy::server::connection::Connection;
use crate::observe::proxy as events;
use crate::origin::origin::Origin;
use crate::runtime::lock::{Mutex, lock};
use crate::token::secret::Secret;

/// What all connections share.
pub(super) struct Rules {
    pub(super) secret: Secret,
    pub(super) authority: RunAuthority,
    pub(super) bound: Vec<Arc<BoundOrigin>>,
    pub(super) allowed: AllowedHosts,
    /// A request without a stand-in is refused.
    pub(super) requires_stand_in: bool,
    /// What has been reported already, so that a program that tries again fills no log.
    pub(super) reported: Mutex<HashSet<String>>,
}

/// One connection of the program.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) rules: Arc<Rules>,
    /// What serves the requests inside of an opened connection.
    pub(super) server: Server,
    /// It is held for as long as a tunnel lasts.
    pub(super) connection: Arc<Connection>,
}

impl Visit {
    /// Responds to a request to the proxy.
    pub(super) async fn respond(self, request: Request<Incoming>) -> Response<ResponseBody> {
        let rules = Arc::clone(&self.rules);
        if !rules.knows_the_secret(&request) {
            return boxed(Refusal::no_secret().into_response());
        }
        self.connection.admit();
        let (mut head, body) = request.into_parts();
        head.headers.remove(PROXY_AUTHORIZATION);
        let is_connect = head.method == Method::CONNECT;
        let target = match is_connect {
            true => of_connect(&head),
            false => of_absolute(&head),
        };
        let target = match target {
            Ok(target) => target,
            Err(refusal) => return boxed(refusal.into_response()),
        };
        let request = Request::from_parts(head, body);
        let outcome = match is_connect {
            true => self.connect(&target, request).await,
            false => rules.plain(&target, request).await,
        };
        outcome.unwrap_or_else(|refusal| boxed(rules.refuse(&target, refusal)))
    }

    async fn connect(
        self,
        target: &Origin,
        mut request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let program = hyper::upgrade::on(&mut request);
        let (head, _) = request.into_parts();
        self.rules.refuse_stand_ins(&head, None)?;
        let plain = target.over_plain_http();
        if let Some(bound) = self.rules.bound(target) {
            tokio::spawn(self.open(bound, program));
        } else if let Some(bound) = self.rules.bound(&plain) {
            // Some programs ask for a tunnel to servers with plain http as well.
            tokio::spawn(async move {
                if let Ok(stream) = program.await {
                    self.serve_inside(bound, TokioIo::new(stream)).await;
                }
            });
        } else {
            let server = self.rules.allowed.connect(target).await?;
            tokio::spawn(pass_on(program, server, self.connection));
        }
        Ok(boxed(Response::new(ProxyBody::own(""))))
    }

    /// Opens the TLS connection of the program.
    async fn open(self, bound: Arc<BoundOrigin>, program: OnUpgrade) {
        let (host, rules) = (bound.origin().host(), &self.rules);
        let (Ok(stream), Ok(certificate)) = (program.await, rules.authority.certificate(host))
        else {
            return;
        };
        match accept(TokioIo::new(stream), host, certificate).await {
            Ok(stream) => self.serve_inside(bound, stream).await,
            Err(TlsFailure::Distrusted) => {
                if rules.is_first_report(&format!("distrusted {host}")) {
                    events::authority_distrusted(bound.origin());
                }
            }
            Err(TlsFailure::OtherHost) => {
                rules.report(
                    bound.origin(),
                    "the TLS connection is for another server than its CONNECT",
                );
            }
            Err(TlsFailure::Other) => (),
        }
    }

    /// Serves the requests inside of an opened connection to a bound origin.
    async fn serve_inside<S>(self, bound: Arc<BoundOrigin>, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Self {
            rules,
            server,
            connection,
        } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            let (rules, bound) = (Arc::clone(&rules), Arc::clone(&bound));
            async move {
                let (head, body) = request.into_parts();
                let response = match check_inside(&head, bound.origin()) {
                    Ok(()) => rules.send(&bound, Request::from_parts(head, body)).await,
                    Err(refusal) => rules.refuse(bound.origin(), refusal),
                };
                Ok::<_, Infallible>(response)
            }
        });
        server.serve_stream(stream, service, connection).await;
    }
}

impl Rules {
    /// Compares the secret in constant time.
    fn knows_the_secret(&self, request: &Request<Incoming>) -> bool {
        let field = request.headers().get(PROXY_AUTHORIZATION);
        let pair = field.and_then(|field| basic(field.as_bytes()));
        pair.is_some_and(|pair| {
            let secret = pair.split_once(':').map_or("", |(_, secret)| secret);
            secret
                .as_bytes()
                .ct_eq(self.secret.expose().as_bytes())
                .into()
        })
    }

    fn bound(&self, target: &Origin) -> Option<Arc<BoundOrigin>> {
        let mut bound = self.bound.iter();
        bound.find(|bound| bound.origin() == target).cloned()
    }

    /// Sends a request with plain http.
    async fn plain(
        &self,
        target: &Origin,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Refusal> {
        if let Some(bound) = self.bound(target) {
            return Ok(boxed(self.send(&bound, request).await));
        }
        let (head, body) = request.into_parts();
        self.refuse_stand_ins(&head, None)?;
        let server = self.allowed.connect(target).await?;
        send(Request::from_parts(head, body), target, server).await
    }

    /// Sends a request on the route of its server.
    async fn send(&self, bound: &BoundOrigin, request: Request<Incoming>) -> Response<ProxyBody> {
        let (mut head, body) = request.into_parts();
        if let Err(refusal) = self.refuse_stand_ins(&head, Some(bound)) {
            return self.refuse(bound.origin(), refusal);
        }
        let form = match bound.stand_in().take(&mut head.headers) {
            Some(form) => form,
            None if self.requires_stand_in => return Refusal::no_stand_in().into_response(),
            // The secret of the run has shown that the program may use the route.
            None => Form::OfToken,
        };
        bound.send(form, Request::from_parts(head, body)).await
    }

    /// Fails if a stand-in is in the head of a request that does not go to one of its servers.
    fn refuse_stand_ins(&self, head: &Parts, own: Option<&BoundOrigin>) -> Result<(), Refusal> {
        let own = own.map(|own| own.stand_in().expose());
        let foreign = self.bound.iter().any(|bound| {
            let stand_in = bound.stand_in();
            own != Some(stand_in.expose()) && stand_in.is_in_head(head)
        });
        match foreign {
            true => Err(Refusal::forbidden(
                "the request has the stand-in of another server's token, which may go only there",
            )),
            false => Ok(()),
        }
    }

    fn refuse(&self, target: &Origin, refusal: Refusal) -> Response<ProxyBody> {
        self.report(target, &refusal.detail);
        refusal.into_response()
    }

    fn report(&self, target: &Origin, reason: &str) {
        if self.is_first_report(&format!("{target} {reason}")) {
            events::refused(target, reason);
        }
    }

    fn is_first_report(&self, what: &str) -> bool {
        let mut reported = lock(&self.reported);
        reported.len() < MOST_REPORTS && reported.insert(what.to_owned())
    }
}

fn boxed(response: Response<ProxyBody>) -> Response<ResponseBody> {
    response.map(BodyExt::boxed_unsync)
}

const MOST_REPORTS: usize = 1000;
