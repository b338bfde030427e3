//! What a person is shown at the start: where the proxy listens, and how a program is told to use it.

use std::io::{IsTerminal, stderr};

use keyfob::proxy::{ListenAddress, Route};

use crate::commands::proxy::plan::{Plan, RouteChoice};

pub(super) struct Hints<'a> {
    pub(super) plan: &'a Plan,
    pub(super) status: Option<&'a ListenAddress>,
}

impl Hints<'_> {
    /// A line for each route of each listener; at a terminal also how it is used.
    pub(super) fn text<'l>(
        &self,
        listeners: impl Iterator<Item = (&'l ListenAddress, &'l RouteChoice)>,
    ) -> String {
        let mut text = String::new();
        for (address, choice) in listeners {
            let routes = self.plan.proxy.routes().filter(|route| match choice {
                RouteChoice::All => self.plan.is_shared(route.name()),
                RouteChoice::One(name) => route.name() == name,
            });
            for route in routes {
                text.push_str(&line(address, choice, route));
                if stderr().is_terminal() {
                    text.push_str(&usage(address, choice, route));
                }
            }
        }
        if let Some(address) = self.status {
            text.push_str(&format!(
                "keyfob: health and metrics are at {}\n",
                base(address)
            ));
        }
        text
    }
}

fn line(address: &ListenAddress, choice: &RouteChoice, route: &Route) -> String {
    let place = match address {
        ListenAddress::Unix(path) => match choice {
            RouteChoice::All => format!("{} (/{}/)", path.display(), route.name()),
            RouteChoice::One(_) => path.display().to_string(),
        },
        ListenAddress::Tcp(_) => url(address, choice, route),
    };
    format!("keyfob: {place} leads to {}\n", route.base_url())
}

fn usage(address: &ListenAddress, choice: &RouteChoice, route: &Route) -> String {
    let url = url(address, choice, route);
    match address {
        ListenAddress::Unix(path) => {
            let path = shell_words::quote(&path.display().to_string()).into_owned();
            format!("    curl --unix-socket {path} {url}\n")
        }
        ListenAddress::Tcp(_) => {
            let name = route.name().to_uppercase().replace(['-', '.'], "_");
            format!(
                "    export {name}_BASE_URL={url}\n    printf 'Keyfob-Client-Secret: %s\\n' \"$KEYFOB_CLIENT_SECRET\" | curl --header @- {url}\n"
            )
        }
    }
}

fn url(address: &ListenAddress, choice: &RouteChoice, route: &Route) -> String {
    let base = base(address);
    match choice {
        RouteChoice::All => format!("{base}/{}/", route.name()),
        RouteChoice::One(_) => format!("{base}/"),
    }
}

fn base(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Unix(_) => "http://localhost".to_owned(),
        ListenAddress::Tcp(address) => format!("http://{address}"),
    }
}
