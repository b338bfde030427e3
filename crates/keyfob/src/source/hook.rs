//! A closure of the user's that gets tokens.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::error::error::{BoxError, Error};
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::token::{IntoToken, Token};

/// Makes a source of an async closure.
///
/// The closure gets the [`TokenRequest`], which says why it is asked. It returns the token alone or with its expiry
/// (see [`IntoToken`]); an error that is not keyfob's own becomes the cause of an
/// [`Unavailable`](crate::ErrorKind::Unavailable) one.
///
/// ```
/// use std::time::Duration;
///
/// # async fn ask_the_vault() -> Result<String, std::io::Error> { Ok("t0ken".into()) }
/// let source = keyfob::hook(|_| async { Ok::<_, std::io::Error>((ask_the_vault().await?, Duration::from_secs(300))) });
/// ```
pub fn hook<F, Fut, T, E>(hook: F) -> Hook
where
    F: Fn(TokenRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: IntoToken,
    E: Into<BoxError>,
{
    Hook(Arc::new(move |request: &TokenRequest| {
        let answer = hook(request.clone());
        Box::pin(async move { usable(answer.await) })
    }))
}

/// Makes a source of a closure that blocks its thread while it gets the token.
///
/// It runs on a thread where it holds up no task. Otherwise as [`hook`](fn@crate::hook), but a thread cannot be stopped:
/// a call that outlasts the fetch timeout is left behind, and the next one may run beside it.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// let source = keyfob::hook_blocking(|_| {
///     Ok::<_, std::io::Error>(("t0ken", SystemTime::now() + Duration::from_secs(300)))
/// });
/// ```
pub fn hook_blocking<F, T, E>(hook: F) -> Hook
where
    F: Fn(&TokenRequest) -> Result<T, E> + Send + Sync + 'static,
    T: IntoToken,
    E: Into<BoxError>,
{
    let hook = Arc::new(hook);
    Hook(Arc::new(move |request: &TokenRequest| {
        let hook = Arc::clone(&hook);
        let asked = request.clone();
        let answer = request.run_blocking(move || usable(hook(&asked)));
        Box::pin(async move { answer.await? })
    }))
}

/// A closure as a source; made by [`hook`](fn@crate::hook) and [`hook_blocking`].
#[derive(Clone)]
pub struct Hook(Arc<Ask>);

type Ask = dyn Fn(&TokenRequest) -> BoxFuture<'static, Result<Token, Error>> + Send + Sync;

impl TokenSource for Hook {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        (self.0)(request)
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

fn usable<T: IntoToken, E: Into<BoxError>>(answer: Result<T, E>) -> Result<Token, Error> {
    match answer {
        Ok(token) => token.into_token(),
        Err(error) => Err(Error::from_hook(error.into())),
    }
}
