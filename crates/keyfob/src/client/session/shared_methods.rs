//! The public methods that the async and the blocking session share.

/// The setters of a request builder, over the builder of `reqwest`.
macro_rules! request_builder_methods {
    ($inner:ty, $body:ty, $form:ty, $request:ty) => {
        /// Adds a header field. The session's credential replaces any value in its own field.
        pub fn header<K, V>(self, name: K, value: V) -> Self
        where
            HeaderName: TryFrom<K>,
            <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
            HeaderValue: TryFrom<V>,
            <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
        {
            self.map(|request| request.header(name, value))
        }

        /// Sets header fields, which replace all fields of the same names.
        pub fn headers(self, headers: HeaderMap) -> Self {
            self.map(|request| request.headers(headers))
        }

        /// Appends to the query of the URL.
        pub fn query<T: Serialize + ?Sized>(self, query: &T) -> Self {
            self.map(|request| request.query(query))
        }

        /// Sets the body. A streamed body can be sent only once: it is not retried, and not replayed after a 401.
        ///
        /// [`body_from`](Self::body_from) takes one that can be opened again.
        pub fn body(self, body: impl Into<$body>) -> Self {
            self.with_body(|request| request.body(body))
        }

        /// Sets a streamed body that is made anew for each attempt, so that it is retried and replayed like one in memory.
        ///
        /// `make` must not block for long. It returns the whole body each time, or one that ends with an error. The body of a
        /// file is an example:
        ///
        /// ```no_run
        /// # fn example(session: keyfob::blocking::Session) -> Result<(), Box<dyn std::error::Error>> {
        /// use std::fs::File;
        /// use reqwest::blocking::Body;
        ///
        /// let file = File::open("backup.tar")?;
        /// let length = file.metadata()?.len();
        /// let open = move || File::open("backup.tar").map_or_else(
        ///     |_| Body::sized(std::io::empty(), length),
        ///     |file| Body::sized(file, length),
        /// );
        /// let response = session.put("backup").body_from(open).send()?;
        /// # Ok(())
        /// # }
        /// ```
        pub fn body_from(mut self, make: impl Fn() -> $body + Send + Sync + 'static) -> Self {
            let first = make();
            self = self.with_body(|request| request.body(first));
            let remake = move |request: &mut $request| *request.body_mut() = Some(make());
            self.options.remake_body = Some(Arc::new(remake));
            self
        }

        /// Sets the body to a form, and its content type.
        pub fn form<T: Serialize + ?Sized>(self, form: &T) -> Self {
            self.with_body(|request| request.form(form))
        }

        /// Sets the body to JSON, and its content type.
        pub fn json<T: Serialize + ?Sized>(self, json: &T) -> Self {
            self.with_body(|request| request.json(json))
        }

        /// Sets the body to a multipart form, which is streamed and so sent only once.
        pub fn multipart(self, form: $form) -> Self {
            self.with_body(|request| request.multipart(form))
        }

        /// Limits each attempt, from its start to the end of the response body, in place of the session's timeout.
        pub fn timeout(self, timeout: Duration) -> Self {
            self.map(|request| request.timeout(timeout))
        }

        /// Sets the HTTP version.
        pub fn version(self, version: Version) -> Self {
            self.map(|request| request.version(version))
        }

        /// Marks the request as idempotent: sending it twice has the effect of once. It is then retried like a GET.
        pub fn idempotent(mut self) -> Self {
            self.options.idempotency = Some(Idempotency::Idempotent);
            self
        }

        /// Uses the tokens of another cache for this request, such as those of one user of a pool.
        ///
        /// They go only to the origins that the session is bound to, and the request uses the session's retry budget.
        pub fn tokens(mut self, tokens: impl Into<TokenCache>) -> Self {
            self.options.tokens = Some(tokens.into());
            self
        }

        /// Changes what is retried for this request. It still uses the session's retry budget.
        pub fn retry(mut self, change: impl FnOnce(RetryPolicy) -> RetryPolicy) -> Self {
            let session = &self.sender.rules.policy;
            let policy = self.options.retry.as_ref().unwrap_or(session);
            self.options.retry = Some(Arc::new(change(RetryPolicy::clone(policy))));
            self
        }

        /// Builds the request, without the credential.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Input`](crate::ErrorKind::Input) if a URL, a header or a body cannot be used.
        pub fn build(self) -> Result<$request, Error> {
            Self::built(self.request)
        }

        fn built(request: Result<$inner, Error>) -> Result<$request, Error> {
            request?.build().map_err(|cause| {
                Error::input("the request cannot be sent as it was built")
                    .caused_by(cause.without_url())
            })
        }

        /// Copies the request; `None` if its body is streamed, or if it cannot be built.
        #[must_use]
        pub fn try_clone(&self) -> Option<Self> {
            Some(Self {
                sender: Arc::clone(&self.sender),
                request: Ok(self.request.as_ref().ok()?.try_clone()?),
                options: self.options.clone(),
            })
        }

        fn with_body(mut self, change: impl FnOnce($inner) -> $inner) -> Self {
            self.options.remake_body = None;
            self.map(change)
        }

        fn map(self, change: impl FnOnce($inner) -> $inner) -> Self {
            Self {
                request: self.request.map(change),
                ..self
            }
        }
    };
}

/// The methods that begin a request, and those that report about the token without waiting.
macro_rules! session_methods {
    ($builder:ident) => {
        /// The timeout of each attempt, unless [set](crate::session::SessionBuilder::timeout).
        pub const TIMEOUT: Duration = crate::exchange::outcome::DEFAULT_TIMEOUT;

        /// How many redirects are followed, unless [set](crate::session::SessionBuilder::redirects).
        pub const REDIRECTS: u32 = crate::exchange::exchange::Exchange::REDIRECTS;

        /// Begins a request. A relative URL is resolved against the base URL.
        ///
        /// A URL that cannot be used is reported when the request is sent.
        pub fn request(&self, method: Method, url: impl AsRef<str>) -> $builder {
            let request = self
                .sender
                .resolve(url.as_ref())
                .map(|url| self.sender.client.request(method, url));
            $builder::new(Arc::clone(&self.sender), request)
        }

        /// Begins a GET request.
        pub fn get(&self, url: impl AsRef<str>) -> $builder {
            self.request(Method::GET, url)
        }

        /// Begins a HEAD request.
        pub fn head(&self, url: impl AsRef<str>) -> $builder {
            self.request(Method::HEAD, url)
        }

        /// Begins a POST request.
        pub fn post(&self, url: impl AsRef<str>) -> $builder {
            self.request(Method::POST, url)
        }

        /// Begins a PUT request.
        pub fn put(&self, url: impl AsRef<str>) -> $builder {
            self.request(Method::PUT, url)
        }

        /// Begins a PATCH request.
        pub fn patch(&self, url: impl AsRef<str>) -> $builder {
            self.request(Method::PATCH, url)
        }

        /// Begins a DELETE request.
        pub fn delete(&self, url: impl AsRef<str>) -> $builder {
            self.request(Method::DELETE, url)
        }

        /// Whether there is a token outside its leeway. Never calls the source.
        #[must_use]
        pub fn authenticated(&self) -> bool {
            self.tokens().authenticated()
        }

        /// The token cache. The API reference calls it the session's `authentication_handler`.
        #[must_use]
        pub fn tokens(&self) -> &TokenCache {
            self.sender.tokens()
        }

        /// The state of the token, without any secret.
        #[must_use]
        pub fn status(&self) -> Status {
            self.tokens().status()
        }
    };
}

pub(crate) use request_builder_methods;
pub(crate) use session_methods;
