//! A proxy that runs: its listeners, which a reload adds to, changes and removes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keyfob::proxy::{
    AccessLog, Admission, Arrival, ClientSecrets, ListenAddress, Listener, Metrics, ReverseRules,
    ReverseServer, Server, StatusPages, StatusRules, Stop, Stopping,
};

use tokio::task::JoinHandle;

use crate::commands::proxy::bound::{Bound, bind, bind_all, inherited};
use crate::commands::proxy::hints::Hints;
use crate::commands::proxy::log::open_log;
use crate::commands::proxy::plan::{Plan, RouteChoice};
use crate::commands::proxy::secret::generate;
use crate::commands::proxy::service_state;
use crate::commands::proxy::signals::Signals;
use crate::commands::proxy::tokens::FirstTokens;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_notice;

/// The listeners of a proxy, and what they share.
pub(super) struct Running {
    plan: Plan,
    /// By the address in the plan, whose port may be 0.
    active: BTreeMap<ListenAddress, Active>,
    /// Listeners that a reload has removed, and whose requests may not have ended.
    leaving: Vec<Leaving>,
    status: Option<ActiveStatus>,
    /// The client whose secret was made at the start, if the plan has none.
    generated: Option<Arc<ClientSecrets>>,
    metrics: Arc<Metrics>,
    log: Option<Arc<AccessLog>>,
    /// Tells the pages for health that the routes end. The pages go on until they have ended.
    ending: Stop,
}

/// A listener of routes.
struct Active {
    address: ListenAddress,
    choice: RouteChoice,
    reverse: Arc<ReverseServer>,
    /// The rules of the listener, without what a plan adds.
    admission: Admission,
    is_inherited: bool,
    stop: Arc<Stop>,
}

/// A listener that accepts no more.
struct Leaving {
    stop: Arc<Stop>,
    /// Waits for its requests, and returns whether they have ended by themselves.
    drained: JoinHandle<bool>,
}

struct ActiveStatus {
    /// `None` for a socket from systemd, which stays.
    planned: Option<ListenAddress>,
    address: ListenAddress,
    pages: Arc<StatusPages>,
    admission: Admission,
    stop: Stop,
}

impl Running {
    /// Listens everywhere, and then serves.
    pub(super) fn start(mut plan: Plan) -> Result<Self, CliError> {
        let inherited = inherited(&plan)?;
        if inherited.routes.is_empty() {
            plan.add_default_listener()?;
        }
        let bound = bind_all(&plan, |_| false)?;
        let status = match (inherited.status, plan.status_address()) {
            (Some(listener), _) => Some((None, listener)),
            (None, Some(address)) => Some((Some(address.clone()), bind(&plan, &address)?)),
            (None, None) => None,
        };
        let mut running = Self {
            log: open_log(plan.access_log.as_deref())?,
            generated: None,
            active: BTreeMap::new(),
            leaving: Vec::new(),
            status: None,
            metrics: Arc::default(),
            ending: Stop::new(),
            plan,
        };
        let all = inherited.routes.iter().chain(&bound);
        let has_tcp = all.into_iter().any(Bound::is_tcp);
        if has_tcp && running.plan.clients.is_empty() {
            running.generated = Some(Arc::new(generate()?));
        }
        for bound in inherited.routes {
            running.serve(bound, true)?;
        }
        for bound in bound {
            running.serve(bound, false)?;
        }
        if let Some((planned, listener)) = status {
            running.serve_status(planned, listener)?;
        }
        service_state::ready();
        FirstTokens::fetch(&running.plan);
        Ok(running)
    }

    fn serve(&mut self, bound: Bound, is_inherited: bool) -> Result<(), CliError> {
        let Bound {
            planned,
            listener,
            choice,
        } = bound;
        let admission = Admission::new(&listener);
        let rules = self.rules(&admission, &choice)?;
        let active = Active {
            address: listener.address().clone(),
            reverse: Arc::new(ReverseServer::new(rules, Arc::clone(&self.metrics))),
            choice,
            admission,
            is_inherited,
            stop: Arc::new(Stop::new()),
        };
        let (reverse, server) = (Arc::clone(&active.reverse), self.server());
        let stopping = active.stop.watch();
        tokio::spawn(async move { reverse.serve(&server, listener, stopping).await });
        self.active.insert(planned, active);
        Ok(())
    }

    fn serve_status(
        &mut self,
        planned: Option<ListenAddress>,
        listener: Listener,
    ) -> Result<(), CliError> {
        let admission = Admission::without_secret(&listener);
        let rules = self.status_rules(&admission)?;
        let ending: Stopping = self.ending.watch();
        let status = ActiveStatus {
            planned,
            address: listener.address().clone(),
            pages: Arc::new(StatusPages::new(rules, Arc::clone(&self.metrics), ending)),
            admission,
            stop: Stop::new(),
        };
        let (pages, server, stopping) = (
            Arc::clone(&status.pages),
            self.server(),
            status.stop.watch(),
        );
        tokio::spawn(async move { pages.serve(&server, listener, stopping).await });
        // The pages at an earlier address end with their `Stop`.
        if let Some(earlier) = self.status.replace(status) {
            earlier.stop.cut();
        }
        Ok(())
    }

    fn server(&self) -> Server {
        Server::new(self.plan.limits.clone())
    }

    /// The rules of a listener by the plan.
    fn rules(&self, admission: &Admission, choice: &RouteChoice) -> Result<ReverseRules, CliError> {
        let clients = match &self.generated {
            Some(generated) if self.plan.clients.is_empty() => generated,
            _ => &self.plan.clients,
        };
        let admission = admission.clone().clients(Arc::clone(clients));
        let routes = &self.plan.proxy;
        Ok(ReverseRules {
            proxy: match choice {
                RouteChoice::All => routes.only(|name| self.plan.is_shared(name)),
                RouteChoice::One(_) => routes.clone(),
            },
            admission: self.plan.admission(admission)?,
            arrival: match choice {
                RouteChoice::All => Arrival::by_path(),
                RouteChoice::One(name) => Arrival::on_route(name.as_str()),
            },
            log: self.log.clone(),
        })
    }

    fn status_rules(&self, admission: &Admission) -> Result<StatusRules, CliError> {
        Ok(StatusRules {
            proxy: self.plan.proxy.clone(),
            admission: self.plan.admission(admission.clone())?,
            log: self.log.clone(),
        })
    }

    /// Goes on by another plan. Nothing changes if it cannot be used.
    pub(super) async fn replace(&mut self, mut plan: Plan) -> Result<(), CliError> {
        if !self.active.values().any(|active| active.is_inherited) {
            plan.add_default_listener()?;
        }
        let bound = bind_all(&plan, |address| self.active.contains_key(address))?;
        let stays = |address: &ListenAddress| plan.listeners.contains_key(address);
        let old = self
            .active
            .iter()
            .filter(|(planned, active)| active.is_inherited || stays(planned));
        let has_tcp =
            old.map(|(_, active)| &active.address).any(is_tcp) || bound.iter().any(Bound::is_tcp);
        if has_tcp && plan.clients.is_empty() && self.generated.is_none() {
            return Err(CliError::usage(
                "a TCP address needs a secret of its clients; add `clients` to [proxy]",
            ));
        }
        let status = match plan.status_address() {
            Some(address) if !self.keeps_status(&address) => {
                Some((Some(address.clone()), bind(&plan, &address)?))
            }
            _ => None,
        };
        let log = open_log(plan.access_log.as_deref())?;
        // The tokens are there before the first request needs them.
        FirstTokens::fetch(&plan).wait(FIRST_TOKENS).await;
        // Requests in progress hold the earlier log, which ends with them.
        self.log = log;
        self.plan = plan;
        self.remove_listeners();
        for active in self.active.values() {
            let rules = self.rules(&active.admission, &active.choice)?;
            active.reverse.replace(rules);
        }
        for bound in bound {
            self.serve(bound, false)?;
        }
        if let Some((planned, listener)) = status {
            return self.serve_status(planned, listener);
        }
        let has_address = self.plan.status_address().is_some();
        let is_removed = |status: &mut ActiveStatus| status.planned.is_some() && !has_address;
        if let Some(removed) = self.status.take_if(is_removed) {
            removed.stop.cut();
        }
        if let Some(status) = &self.status {
            status.pages.replace(self.status_rules(&status.admission)?);
        }
        Ok(())
    }

    /// Whether the pages for health stay where they are, although the plan has this address for them.
    fn keeps_status(&self, address: &ListenAddress) -> bool {
        let planned = self.status.as_ref().map(|status| status.planned.as_ref());
        planned.is_some_and(|planned| planned.is_none_or(|planned| planned == address))
    }

    /// Stops the listeners that the plan does not have. Their requests end by themselves.
    fn remove_listeners(&mut self) {
        let (planned, drain) = (&self.plan.listeners, self.plan.drain);
        self.leaving
            .retain(|leaving| !leaving.drained.is_finished());
        self.active.retain(|address, active| {
            if let Some(choice) = planned.get(address) {
                active.choice = choice.clone();
            }
            let stays = active.is_inherited || planned.contains_key(address);
            if !stays {
                self.leaving.push(Leaving::of(&active.stop, drain));
            }
            stays
        });
    }

    /// Stops accepting, and waits until the requests in progress have ended, or another signal comes.
    pub(super) async fn stop(
        self,
        mut signals: Signals,
        exit: ExitCode,
    ) -> Result<ExitCode, CliError> {
        service_state::stopping();
        // `/readyz` says from now on that the proxy is not ready.
        self.ending.begin();
        // What a removed listener has cut off is no matter of this end.
        let mut leaving = self.leaving;
        leaving.retain(|leaving| !leaving.drained.is_finished());
        let active = self.active.into_values();
        leaving.extend(active.map(|active| Leaving::of(&active.stop, self.plan.drain)));
        let stops: Vec<_> = leaving
            .iter()
            .map(|leaving| Arc::clone(&leaving.stop))
            .collect();
        let drained = async {
            let mut all = true;
            for leaving in leaving {
                all &= leaving.drained.await.unwrap_or(false);
            }
            all
        };
        let forced = tokio::select! {
            drained = drained => (!drained).then_some(exit),
            second = signals.end() => {
                stops.iter().for_each(|stop| stop.cut());
                Some(second)
            }
        };
        if let Some(log) = &self.log {
            log.close(LAST_LINES);
        }
        match forced {
            None => Ok(ExitCode::Done),
            Some(exit) => Err(CliError::new(exit, "requests in progress were cut off")),
        }
    }

    /// Prints where the proxy listens, and how it is used.
    pub(super) fn show_hints(&self) {
        let hints = Hints {
            plan: &self.plan,
            status: self.status.as_ref().map(|status| &status.address),
        };
        let listeners = self.active.values();
        let listeners = listeners.map(|active| (&active.address, &active.choice));
        print_notice(hints.text(listeners));
    }
}

impl Leaving {
    /// Stops a listener now, and cuts its requests off after this time.
    fn of(stop: &Arc<Stop>, drain: Duration) -> Self {
        stop.begin();
        let stop = Arc::clone(stop);
        let drained = tokio::spawn({
            let stop = Arc::clone(&stop);
            async move { stop.drain(drain).await }
        });
        Self { stop, drained }
    }
}

fn is_tcp(address: &ListenAddress) -> bool {
    matches!(address, ListenAddress::Tcp(_))
}

/// How long a reload waits for the tokens of its routes.
const FIRST_TOKENS: Duration = Duration::from_secs(10);

/// How long the last lines of the access log may take.
const LAST_LINES: Duration = Duration::from_secs(2);
