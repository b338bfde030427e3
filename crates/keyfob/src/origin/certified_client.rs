//! An HTTP client that presents a client certificate, made anew when the certificate changes.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use crate::error::error::Error;

/// A certificate that a client of `reqwest`, async or blocking, can present while it is built.
pub(crate) trait Certificate<C>: Send + Sync {
    /// The number of the present certificate, above zero, and what adds it to a client; `None` if it has this number.
    fn unless(&self, number: u64) -> Option<(u64, AddCertificate<C>)>;
}

pub(crate) type AddCertificate<C> = Box<dyn FnOnce(C) -> C>;

/// A client, async or blocking, for the certificate that the files hold at present.
///
/// A client cannot change its certificate. Also, a pooled connection stays authenticated by the old one, so that a server
/// would reject a token that is bound to the new one. So a new client is made. Requests that run keep the old one alive.
pub(crate) struct CertifiedClient<B> {
    make: Box<dyn MakeUnless<B>>,
    current: ArcSwap<(u64, B)>,
    /// Held while a client is made: one caller makes it, and the others still use the old one.
    making: Mutex<()>,
}

/// Makes a client for the present certificate, unless it has this number.
trait MakeUnless<B>: Fn(u64) -> Option<Result<(u64, B), Error>> + Send + Sync {}

impl<B, F: Fn(u64) -> Option<Result<(u64, B), Error>> + Send + Sync> MakeUnless<B> for F {}

impl<B: Clone> CertifiedClient<B> {
    /// `fresh` begins a client, and `finish` makes it of its settings.
    pub(crate) fn new<C: 'static>(
        certificate: Arc<dyn Certificate<C>>,
        fresh: fn() -> C,
        finish: impl Fn(C) -> Result<B, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error>
    where
        B: 'static,
    {
        let make = move |number| {
            let (number, add) = certificate.unless(number)?;
            Some(finish(add(fresh())).map(|client| (number, client)))
        };
        let first = make(0).expect("no certificate has the number zero")?;
        Ok(Self {
            make: Box::new(make),
            current: ArcSwap::from_pointee(first),
            making: Mutex::new(()),
        })
    }

    /// The client that presents the certificate that is in the files now.
    pub(crate) fn current(&self) -> B {
        let current = self.current.load();
        if let Ok(_making) = self.making.try_lock()
            // The certificate was checked when it was read, so this fails only for reasons that have nothing to do with it.
            && let Some(Ok(newer)) = (self.make)(current.0)
        {
            let client = newer.1.clone();
            self.current.store(Arc::new(newer));
            return client;
        }
        current.1.clone()
    }
}
