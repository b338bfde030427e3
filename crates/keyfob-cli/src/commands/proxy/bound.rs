//! Listeners that are bound and do not serve yet: those of the plan, and those from systemd.

use keyfob::proxy::{ListenAddress, Listener};

use crate::commands::proxy::plan::{Plan, RouteChoice};
use crate::output::error::CliError;

/// A listener and its routes.
pub(super) struct Bound {
    /// The address in the plan, whose port may be 0.
    pub(super) planned: ListenAddress,
    pub(super) listener: Listener,
    pub(super) choice: RouteChoice,
}

/// The sockets from systemd.
#[derive(Default)]
pub(super) struct Inherited {
    pub(super) routes: Vec<Bound>,
    pub(super) status: Option<Listener>,
}

impl Bound {
    pub(super) fn is_tcp(&self) -> bool {
        matches!(self.listener.address(), ListenAddress::Tcp(_))
    }
}

/// Binds the addresses of a plan, but for those that are bound already.
pub(super) fn bind_all(
    plan: &Plan,
    is_bound: impl Fn(&ListenAddress) -> bool,
) -> Result<Vec<Bound>, CliError> {
    let new = plan
        .listeners
        .iter()
        .filter(|(address, _)| !is_bound(address));
    let bound = new.map(|(address, choice)| {
        Ok(Bound {
            planned: address.clone(),
            listener: bind(plan, address)?,
            choice: choice.clone(),
        })
    });
    bound.collect()
}

pub(super) fn bind(plan: &Plan, address: &ListenAddress) -> Result<Listener, CliError> {
    let bound = match plan.allow_other_machines {
        true => Listener::bind_anywhere(address),
        false => Listener::bind(address),
    };
    Ok(bound?)
}

/// Sockets from systemd. One that is named `status` is for health and metrics, one that has the name of a route is for that route, and
/// any other is for the routes without an address of their own.
#[cfg(unix)]
pub(super) fn inherited(plan: &Plan) -> Result<Inherited, CliError> {
    let mut inherited = Inherited::default();
    for (name, listener) in Listener::inherited()? {
        let choice = match name.as_str() {
            "status" => {
                inherited.status = Some(listener);
                continue;
            }
            route if plan.proxy.route(route).is_some() => RouteChoice::One(route.to_owned()),
            _ => plan.shared.clone(),
        };
        inherited.routes.push(Bound {
            planned: listener.address().clone(),
            listener,
            choice,
        });
    }
    Ok(inherited)
}

#[cfg(not(unix))]
pub(super) fn inherited(_: &Plan) -> Result<Inherited, CliError> {
    Ok(Inherited::default())
}
