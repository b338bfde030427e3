//! A token for each of many users: keyfob's pool, what a service would write itself, and a credential of other libraries for each user.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use google_cloud_auth::credentials::user_account::Builder;
use google_cloud_auth::credentials::{CacheableResource, Credentials};
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderValue, Method, Uri};
use huskarl::authorizer::HttpAuthorizer;
use huskarl::cache::{GrantTokenSource, InMemoryRefreshTokenStore, InMemoryTokenCache};
use huskarl::core::client_auth::NoAuth;
use huskarl::grant::client_credentials::{
    ClientCredentialsGrant, ClientCredentialsGrantParameters,
};
use huskarl_reqwest::ReqwestClient;
use keyfob::TokenPool;
use keyfob::pool::PoolKey;
use keyfob_testkit::{Expect, ScriptedResponse, Server};
use moka::future::Cache;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::peers::{bearer, said};
use crate::source::text;

/// An issuer of tokens that takes a limited number of requests at once, and refuses some users.
pub struct Issuer {
    pub takes: Duration,
    most: usize,
    /// Users with a smaller number get no token.
    pub refused_users: usize,
    state: Mutex<Load>,
}

#[derive(Clone, Default)]
pub struct Load {
    /// When the requests that are in flight began.
    begun: VecDeque<Instant>,
    pub calls: u64,
    pub most_in_flight: usize,
    /// Requests beyond the limit, which get an error.
    pub turned_away: u64,
}

impl Issuer {
    pub fn new(takes: Duration, most: usize, refused_users: usize) -> Arc<Self> {
        Arc::new(Self {
            takes,
            most,
            refused_users,
            state: Mutex::default(),
        })
    }

    pub fn load(&self) -> Load {
        self.state.lock().expect("no panic").clone()
    }

    /// Counts a request that begins, and returns whether it gets a token.
    fn accepts(&self, user: usize) -> bool {
        let now = Instant::now();
        let mut state = self.state.lock().expect("no panic");
        while state
            .begun
            .front()
            .is_some_and(|begun| now >= *begun + self.takes)
        {
            state.begun.pop_front();
        }
        state.calls += 1;
        state.begun.push_back(now);
        state.most_in_flight = state.most_in_flight.max(state.begun.len());
        let is_beyond = state.begun.len() > self.most;
        state.turned_away += u64::from(is_beyond);
        !is_beyond && user >= self.refused_users
    }

    async fn fetch(&self, user: usize) -> Result<(String, Duration), std::io::Error> {
        let accepted = self.accepts(user);
        // Even a sleep of no time lasts until the next tick of the timer, which 100,000 users would wait for one by one.
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        match accepted {
            true => Ok((text(user as u64), LIFETIME)),
            false => Err(std::io::Error::other("refused")),
        }
    }

    /// The same as a token endpoint on loopback, for contenders that take no hook.
    fn endpoint(self: &Arc<Self>) -> Server {
        let issuer = Arc::clone(self);
        let server = Server::builder().request_limit(0).start();
        server.expect(Expect::any().respond_with(move |_| {
            if !issuer.accepts(usize::MAX) {
                return ScriptedResponse::unavailable().after(issuer.takes);
            }
            ScriptedResponse::json(json!({
                "access_token": text(0), "token_type": "Bearer", "expires_in": LIFETIME.as_secs(),
            }))
            .after(issuer.takes)
        }));
        server
    }
}

/// What keeps a token for each of many users.
pub trait Users: Sized + Send + Sync + 'static {
    const NAME: &'static str;
    /// How many users it is measured with.
    const USERS: usize;

    fn start(users: usize, issuer: Arc<Issuer>) -> impl Future<Output = Self>;

    /// The header with the token of a user.
    fn header(&self, user: usize) -> impl Future<Output = Result<HeaderValue, String>> + Send;
}

/// The name of a user, as long as a UUID.
fn name(user: usize) -> String {
    format!("user-{user:0>31}")
}

pub struct Keyfob {
    pool: TokenPool,
    keys: Vec<PoolKey>,
}

impl Users for Keyfob {
    const NAME: &'static str = "keyfob, TokenPool";
    const USERS: usize = 100_000;

    async fn start(users: usize, issuer: Arc<Issuer>) -> Self {
        let at_once = issuer.most;
        let pool = TokenPool::builder(move |key: &PoolKey| {
            let user = key
                .subject()
                .trim_start_matches(['u', 's', 'e', 'r', '-', '0']);
            let (user, issuer) = (user.parse().unwrap_or(0), Arc::clone(&issuer));
            Ok(keyfob::hook(move |_| {
                let issuer = Arc::clone(&issuer);
                async move { issuer.fetch(user).await }
            }))
        });
        let pool = pool
            .max_entries(users + users / 10)
            .fetches_at_once(at_once);
        Self {
            pool: pool.build().expect("a pool"),
            keys: (0..users)
                .map(|user| PoolKey::new(name(user)).expect("a key"))
                .collect(),
        }
    }

    async fn header(&self, user: usize) -> Result<HeaderValue, String> {
        let lease = self
            .pool
            .lease(&self.keys[user], None)
            .await
            .map_err(said)?;
        Ok(lease.header().clone())
    }
}

/// What a service would write: a bounded cache of ready headers, whose entries end some time before their tokens.
pub struct Moka {
    cache: Cache<String, HeaderValue>,
    names: Vec<String>,
    issuer: Arc<Issuer>,
}

impl Users for Moka {
    const NAME: &'static str = "moka, get_with";
    const USERS: usize = 100_000;

    async fn start(users: usize, issuer: Arc<Issuer>) -> Self {
        let cache = Cache::builder().max_capacity((users + users / 10) as u64);
        Self {
            cache: cache
                .time_to_live(LIFETIME - Duration::from_secs(60))
                .build(),
            names: (0..users).map(name).collect(),
            issuer,
        }
    }

    async fn header(&self, user: usize) -> Result<HeaderValue, String> {
        let fetch = async { bearer(&self.issuer.fetch(user).await.map_err(said)?.0) };
        let header = self
            .cache
            .try_get_with_by_ref(&self.names[user], fetch)
            .await;
        header.map_err(|error| String::clone(&error))
    }
}

/// The same, with a limit of the requests in flight.
pub struct LimitedMoka {
    moka: Moka,
    places: Semaphore,
}

impl Users for LimitedMoka {
    const NAME: &'static str = "moka, get_with and a semaphore";
    const USERS: usize = 100_000;

    async fn start(users: usize, issuer: Arc<Issuer>) -> Self {
        Self {
            places: Semaphore::new(issuer.most),
            moka: Moka::start(users, issuer).await,
        }
    }

    async fn header(&self, user: usize) -> Result<HeaderValue, String> {
        let fetch = async {
            let _place = self.places.acquire().await.map_err(said)?;
            bearer(&self.moka.issuer.fetch(user).await.map_err(said)?.0)
        };
        let header = self
            .moka
            .cache
            .try_get_with_by_ref(&self.moka.names[user], fetch);
        header.await.map_err(|error| String::clone(&error))
    }
}

/// A credential for each user.
pub struct Google {
    credentials: Vec<Credentials>,
    _endpoint: Server,
}

impl Users for Google {
    const NAME: &'static str = "google-cloud-auth for each user";
    const USERS: usize = 1_000;

    async fn start(users: usize, issuer: Arc<Issuer>) -> Self {
        let endpoint = issuer.endpoint();
        let credentials = (0..users).map(|user| {
            let user = json!({
                "client_id": "id", "client_secret": "secret", "refresh_token": name(user), "type": "authorized_user",
            });
            let builder = Builder::new(user).with_token_uri(endpoint.url());
            builder.build().expect("credentials")
        });
        Self {
            credentials: credentials.collect(),
            _endpoint: endpoint,
        }
    }

    async fn header(&self, user: usize) -> Result<HeaderValue, String> {
        let headers = self.credentials[user].headers(Extensions::new()).await;
        let CacheableResource::New { mut data, .. } = headers.map_err(said)? else {
            return Err("nothing new".to_owned());
        };
        data.remove(AUTHORIZATION)
            .ok_or_else(|| "no header".to_owned())
    }
}

/// An authorizer for each user. They share the HTTP client.
pub struct Huskarl {
    authorizers: Vec<HttpAuthorizer>,
    uri: Uri,
    _endpoint: Server,
}

impl Users for Huskarl {
    const NAME: &'static str = "huskarl for each user";
    const USERS: usize = 1_000;

    async fn start(users: usize, issuer: Arc<Issuer>) -> Self {
        let endpoint = issuer.endpoint();
        let client = ReqwestClient::builder().build().await.expect("a client");
        let authorizers = (0..users).map(|user| {
            let grant = ClientCredentialsGrant::builder()
                .client_id(name(user))
                .client_auth(NoAuth)
                .token_endpoint(endpoint.url().parse().expect("a URL"))
                .http_client(client.clone())
                .build();
            let source = GrantTokenSource::builder()
                .grant(grant)
                .grant_parameters(ClientCredentialsGrantParameters::builder().build())
                .refresh_store(InMemoryRefreshTokenStore::default())
                .build();
            let cache = InMemoryTokenCache::builder().source(source).build();
            HttpAuthorizer::builder().cache(cache).build()
        });
        Self {
            authorizers: authorizers.collect(),
            uri: Uri::from_static("https://a.example/"),
            _endpoint: endpoint,
        }
    }

    async fn header(&self, user: usize) -> Result<HeaderValue, String> {
        let headers = self.authorizers[user]
            .get_headers(&Method::GET, &self.uri)
            .await;
        let header = headers.map_err(said)?.remove(AUTHORIZATION);
        header.ok_or_else(|| "no header".to_owned())
    }
}

/// Calls a generic function once for each contender.
#[macro_export]
macro_rules! each_contender {
    ($call:ident ( $($argument:expr),* )) => {{
        $call::<$crate::many_users::Keyfob>($($argument),*).await;
        $call::<$crate::many_users::Moka>($($argument),*).await;
        $call::<$crate::many_users::LimitedMoka>($($argument),*).await;
        $call::<$crate::many_users::Google>($($argument),*).await;
        $call::<$crate::many_users::Huskarl>($($argument),*).await;
    }};
}

const LIFETIME: Duration = Duration::from_secs(3600);
