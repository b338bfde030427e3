//! A closure as a source of tokens.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::error::error::{BoxError, Error};
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::token::into_token::IntoToken;
use crate::token::token::Token;

/// Makes a token source from an async closure.
///
/// The closure gets the [`TokenRequest`], which says why the token is needed. It returns a token, alone or with its expiry
/// (see [`IntoToken`]). An [`Error`] that it returns keeps its kind; any other error becomes the cause of an
/// [`Unavailable`](crate::ErrorKind::Unavailable) error.
///
/// ```
/// use std::time::Duration;
///
/// # async fn ask_the_vault() -> Result<String, std::io::Error> { Ok("t0ken".into()) }
/// let source = keyfob::hook(|_| async {
///     let token = ask_the_vault().await?;
///     Ok::<_, std::io::Error>((token, Duration::from_secs(300)))
/// });
/// ```
pub fn hook<F, Fut, T, E>(hook: F) -> Hook
where
    F: Fn(TokenRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: IntoToken,
    E: Into<BoxError>,
{
    Hook(Arc::new(move |request: &TokenRequest| {
        let result = hook(request.clone());
        Box::pin(async move { into_token(result.await) })
    }))
}

/// Makes a token source from a closure that blocks its thread.
///
/// The closure runs on a thread where it holds up no other task. Results and errors are as for [`hook`](fn@crate::hook). A
/// thread cannot be stopped: after the fetch timeout, the closure continues without effect, and a later call may run at
/// the same time.
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
        // The closure may outlive the fetch, which only lends the request.
        let cloned = request.clone();
        let result = request.run_blocking(move || into_token(hook(&cloned)));
        Box::pin(async move { result.await? })
    }))
}

/// A token source that calls a closure; [`hook`](fn@crate::hook) and [`hook_blocking`] make it.
#[derive(Clone)]
pub struct Hook(Arc<Fetch>);

type Fetch = dyn Fn(&TokenRequest) -> TokenFuture<'static> + Send + Sync;

impl TokenSource for Hook {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        (self.0)(request)
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

fn into_token<T: IntoToken, E: Into<BoxError>>(result: Result<T, E>) -> Result<Token, Error> {
    let token = result.map_err(|error| Error::from_hook(error.into()))?;
    token.into_token()
}
