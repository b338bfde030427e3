//! A cache whose clock, source and renewals the test controls.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use keyfob::cache::{Lease, TokenCacheBuilder};
use keyfob::runtime::Runtime;
use keyfob::{Error, Token, TokenCache};
use keyfob_testkit::{Call, GatedSource, ManualClock};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A token that lives for this many seconds. A token of 100 s is due between 66 and 75 s, and its leeway begins at 90 s.
pub(crate) fn token(text: &str, seconds: u32) -> Result<Token, Error> {
    Ok(Token::new(text)?.expires_in(SECOND * seconds))
}

pub(crate) fn down() -> Result<Token, Error> {
    Err(Error::unavailable("the issuer is down"))
}

pub(crate) struct Harness {
    pub(crate) clock: ManualClock,
    pub(crate) source: GatedSource,
    pub(crate) tasks: Tasks,
    pub(crate) cache: TokenCache,
}

impl Harness {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(settings: impl FnOnce(TokenCacheBuilder) -> TokenCacheBuilder) -> Self {
        let clock = ManualClock::default();
        let source = GatedSource::new();
        let tasks = Tasks::default();
        let builder = TokenCache::builder(source.clone())
            .clock(clock.clone())
            .runtime(tasks.clone());
        Self {
            cache: settings(builder).build().unwrap(),
            clock,
            source,
            tasks,
        }
    }

    /// A harness whose cache has just fetched this token.
    pub(crate) fn with_token(text: &str, seconds: u32) -> Self {
        let harness = Self::new();
        harness.fetch(token(text, seconds)).unwrap();
        harness
    }

    /// A caller needs a missing token, and the source responds with this one.
    pub(crate) fn fetch(&self, response: Result<Token, Error>) -> Result<Lease, Error> {
        let mut caller = Box::pin(self.cache.lease(None));
        assert!(poll(&mut caller).is_pending(), "there was a token already");
        self.respond(response);
        ready(poll(&mut caller))
    }

    /// The call that the source received.
    pub(crate) fn call(&self) -> Call {
        self.tasks.run();
        let call = self.source.next_call().now_or_never();
        call.expect("the source was not asked")
    }

    pub(crate) fn respond(&self, response: Result<Token, Error>) {
        self.call().respond(response);
        self.tasks.run();
    }

    pub(crate) fn pass(&self, seconds: f64) {
        self.clock.advance(Duration::from_secs_f64(seconds));
        self.tasks.run();
    }

    /// How often the source was called.
    pub(crate) fn calls(&self) -> usize {
        self.tasks.run();
        self.source.calls()
    }

    /// The result for a caller that does not need to wait.
    pub(crate) fn lease(&self) -> Result<Lease, Error> {
        let response = self.cache.lease(None).now_or_never();
        response.expect("the caller has to wait")
    }

    /// The token that a request would carry now.
    pub(crate) fn served(&self) -> Option<String> {
        let header = self.cache.header()?;
        let text = header.to_str().unwrap();
        Some(text.strip_prefix("Bearer ").unwrap().to_owned())
    }
}

/// A runtime whose tasks run when the test polls them, on the test's thread.
#[derive(Clone, Default)]
pub(crate) struct Tasks(Arc<Mutex<Vec<Work>>>);

enum Work {
    Task(BoxFuture<'static, ()>),
    Blocking(Box<dyn FnOnce() + Send>),
}

impl Tasks {
    /// Runs until every task has ended or waits.
    pub(crate) fn run(&self) {
        struct Woken(AtomicBool);

        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }

        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        while woken.0.swap(false, Ordering::SeqCst) {
            for work in self.take() {
                match work {
                    Work::Blocking(work) => work(),
                    Work::Task(mut task) => {
                        if task
                            .as_mut()
                            .poll(&mut Context::from_waker(&waker))
                            .is_pending()
                        {
                            self.push(Work::Task(task));
                        }
                    }
                }
            }
            // A task may have spawned another.
            let fresh = self
                .0
                .lock()
                .unwrap()
                .iter()
                .any(|work| matches!(work, Work::Blocking(_)));
            woken.0.fetch_or(fresh, Ordering::SeqCst);
        }
    }

    /// Takes all tasks, for another runtime.
    pub(crate) fn hand_over(&self) -> Self {
        Self(Arc::new(Mutex::new(self.take())))
    }

    /// Drops all tasks, like a runtime that stops.
    pub(crate) fn stop(&self) {
        drop(self.take());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn take(&self) -> Vec<Work> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn push(&self, work: Work) {
        self.0.lock().unwrap().push(work);
    }
}

impl Runtime for Tasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.push(Work::Task(task));
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.push(Work::Blocking(work));
    }
}

pub(crate) fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

pub(crate) fn ready<T>(poll: Poll<T>) -> T {
    match poll {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("still waits"),
    }
}

/// Runs work that might block forever, and fails the test if it does.
pub(crate) fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let worker = thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(SECOND * 30) {
        Ok(output) => output,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("did not end"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(worker.join().unwrap_err())
        }
    }
}
