//! The routes of a proxy that a profile describes.

use crate::client::proxy::admission::subjects::Subjects;
use crate::client::proxy::client_secrets::ClientSecrets;
use crate::client::proxy::forward::bound_origin::BoundOrigin;
use crate::client::proxy::forward::stand_in::StandIn;
use crate::client::proxy::route::Route;
use crate::client::proxy::route_builder::RouteBuilder;
use crate::error::error::Error;
use crate::origin::origin::Origin;
use crate::pool::builder::TokenPoolBuilder;
use crate::pool::key::PoolKey;
use crate::pool::pool::TokenPool;
use crate::profile::profile::Profile;
use crate::profile::schema::proxy::{ProxySettings, RouteSettings};
use crate::profile::schema::route_subject::RouteSubject;
use crate::profile::set_each::SetEach;

impl Profile {
    /// A route of a proxy to the base URL of this profile, with its settings; its name is that of the profile.
    ///
    /// A profile without a base URL must have exactly one origin. The key for proofs of possession and the client certificate
    /// are read, if the profile has them.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session); and [`ErrorKind::Input`](crate::ErrorKind::Input) if the name of the profile has other
    /// characters than `A-Z a-z 0-9 _ -`, or if it has several origins and no base URL.
    pub fn route(&self) -> Result<Route, Error> {
        self.route_builder()?.build()
    }

    /// A builder with the profile's settings, for settings that the file has no key for.
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route).
    pub fn route_builder(&self) -> Result<RouteBuilder, Error> {
        self.require_server()?;
        match (self.base_url(), self.origins()) {
            (Some(base), _) => self.route_below(base.as_str()),
            (None, [origin]) => self.route_below(&origin.to_string()),
            (None, _) => Err(Error::input(format!(
                "the profile {} has several origins and no `base_url`, so it is not clear where a route of it leads; set \
                 `base_url`",
                self.name()
            ))),
        }
    }

    /// A builder for a route to one of the profile's origins, whatever its base URL is.
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route); and [`ErrorKind::Origin`](crate::ErrorKind::Origin) if the profile is not bound to the origin.
    pub fn route_builder_to(&self, origin: &Origin) -> Result<RouteBuilder, Error> {
        self.require_server()?;
        match self.origins().contains(origin) {
            true => self.route_below(&origin.to_string()),
            false => Err(Error::origin(format!(
                "the profile {} is not bound to {origin}; add it to its `origins`",
                self.name()
            ))),
        }
    }

    /// The servers of this profile for a forward proxy, each with this stand-in for the profile's token.
    ///
    /// Nothing is fetched yet, and no key and no certificate is read before the first request.
    ///
    /// # Errors
    ///
    /// As [`tokens`](Self::tokens); and [`ErrorKind::Input`](crate::ErrorKind::Input) if the profile names no server.
    pub fn bound_origins(&self, stand_in: &StandIn) -> Result<Vec<BoundOrigin>, Error> {
        self.require_server()?;
        let tokens = self.tokens()?;
        let bound = self.origins().iter().map(|origin| {
            let (profile, to) = (self.clone(), origin.clone());
            let make_route = move |tokens| profile.route_builder_to(&to)?.tokens(tokens).build();
            BoundOrigin::new(origin.clone(), tokens.clone(), stand_in.clone(), make_route)
        });
        Ok(bound.collect())
    }

    fn route_below(&self, base_url: &str) -> Result<RouteBuilder, Error> {
        let definition = &self.definition;
        let certificate = self.client_certificate()?;
        let builder = Route::builder(self.name(), base_url, self.tokens()?)
            .set_each(&definition.ca_file, RouteBuilder::ca_file)
            .set_each(definition.timeout, RouteBuilder::timeout)
            .set_each(&certificate, RouteBuilder::client_certificate)
            .set_each(self.dpop_prover()?, RouteBuilder::dpop)
            .rejected_statuses(definition.rejected_statuses.iter().copied())
            .retry(definition.retry.clone());
        let origin: Origin = base_url.parse()?;
        Ok(match definition.plain_http.contains(&origin) {
            true => builder.allow_plain_http(),
            false => builder,
        })
    }
}

impl RouteSettings {
    /// Whose token each client uses; `None` if all clients share one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if a subject is too long, or a header has a meaning of its own.
    pub fn subjects(&self) -> Result<Option<Subjects>, Error> {
        let Some(of_clients) = &self.subjects else {
            return Ok(None);
        };
        let mut subjects = Subjects::new();
        for (client, subject) in of_clients {
            subjects = match subject {
                RouteSubject::Subject(subject) => subjects.client(client, PoolKey::new(subject)?),
                RouteSubject::Header(header) => subjects.trusted_client(client, header.clone())?,
            };
        }
        Ok(Some(subjects))
    }

    /// The pool of the subjects' tokens, with the settings of the route's profile and the limits of the route.
    ///
    /// # Errors
    ///
    /// As [`Profile::pool`].
    pub fn token_pool(&self, profile: &Profile) -> Result<TokenPool, Error> {
        let max_entries = self.pool.max_entries.map(|entries| entries as usize);
        let pool = profile
            .pool()?
            .set_each(max_entries, TokenPoolBuilder::max_entries)
            .set_each(self.pool.idle_timeout, TokenPoolBuilder::idle_timeout);
        pool.build()
    }
}

impl ProxySettings {
    /// The clients of the proxy, whose secrets are read now.
    ///
    /// # Errors
    ///
    /// Why a secret cannot be read, or as [`ClientSecrets::add`].
    pub async fn clients(&self) -> Result<ClientSecrets, Error> {
        let mut clients = ClientSecrets::default();
        for (name, secret) in &self.clients {
            clients.add(name, secret.read_now().await?.as_str())?;
        }
        Ok(clients)
    }
}
