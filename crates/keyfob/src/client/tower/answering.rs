//! The loop of the tower layer: what is rare is in a box, and the first attempt in a future with few fields.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::cache::lease::Lease;
use crate::client::response_timeout::UntilStalled;
use crate::client::retry_loop::{conclude, go_on, judge};
use crate::client::tower::replay::ReplayBody;
use crate::client::tower::service::Sends;
use crate::error::error::BoxError;
use crate::exchange::exchange::{Exchange, Step};

pin_project! {
    /// A request whose first attempt was sent.
    pub(super) struct Answering<S, P, B, R>
    where
        S: Service<Request<B>>,
        P: ReplayBody<B>,
    {
        #[pin]
        pub(super) answer: UntilStalled<S::Future>,
        // What the attempts have in common, until it is in the rest.
        pub(super) course: Option<(Exchange, Lease, Sends<S, P, B>)>,
        // The further attempts.
        pub(super) rest: Option<BoxFuture<'static, Result<Response<R>, BoxError>>>,
    }
}

impl<S, P, B, R> Future for Answering<S, P, B, R>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    P: ReplayBody<B> + Send + Sync + 'static,
    P::Kept: Send,
    B: Send + 'static,
    R: Send + 'static,
{
    type Output = Result<Response<R>, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(rest) = this.rest {
            return rest.as_mut().poll(context);
        }
        let answer = ready!(this.answer.poll(context));
        let (exchange, _, sends) = this.course.as_mut().expect(NOT_AGAIN);
        let result = sends.answered(answer);
        let step = judge(exchange, sends, &result);
        if let Step::Done = step {
            return Poll::Ready(result);
        }
        let (mut exchange, lease, mut sends) = this.course.take().expect(NOT_AGAIN);
        let rest = async move { go_on(&mut exchange, lease, &mut sends, result, step).await };
        this.rest.insert(Box::pin(rest)).as_mut().poll(context)
    }
}

/// Makes the first attempt, and those that follow.
pub(super) async fn when_there_is_a_token<S, P, B, R>(
    mut exchange: Exchange,
    mut sends: Sends<S, P, B>,
    service: S,
    request: Request<B>,
) -> Result<Response<R>, BoxError>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    P: ReplayBody<B> + Send + Sync + 'static,
    P::Kept: Send,
    B: Send + 'static,
    R: Send + 'static,
{
    let authenticator = &sends.calls.shared.authenticator;
    let max_wait = exchange.max_wait(authenticator.clock().elapsed());
    let lease = authenticator.lease(max_wait).await?;
    let result = sends.send_over(Box::new(service), request, &lease).await;
    conclude(&mut exchange, lease, &mut sends, result).await
}

const NOT_AGAIN: &str = "a future is not polled again after its end";
