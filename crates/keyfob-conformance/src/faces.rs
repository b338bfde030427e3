//! The interfaces that run the cases.

/// One interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Face {
    /// Its name in the grid and in [`exceptions`](crate::exceptions).
    pub name: &'static str,
    /// What it is, for readers of docs/reference/contract.md.
    pub title: &'static str,
    /// What runs it.
    pub driver: Driver,
}

/// What runs an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// This program: `keyfob-conformance drive NAME`.
    Own,
    /// `drivers/python.py NAME`, in the environment that `cargo xtask test python` makes.
    Python,
}

/// All interfaces, in the order of the grid.
pub const FACES: &[Face] = &[
    own("session", "the async session"),
    own("blocking", "the blocking session"),
    own("tower", "the tower layer, over hyper-util"),
    own("middleware", "the middleware for reqwest-middleware"),
    own("proxy", "the reverse proxy"),
    python("py-bearer", "`BearerAuthSession`"),
    python("py-managed", "`ExternallyManagedJWTSession`"),
    python("py-requests", "`handler.auth()` in a session of `requests`"),
    python("py-httpx", "`handler.httpx_auth()` in `httpx.Client`"),
    python(
        "py-httpx-async",
        "`handler.httpx_auth()` in `httpx.AsyncClient`",
    ),
    python("py-client", "`keyfob.Client`"),
    python("py-client-async", "`keyfob.AsyncClient`"),
    own("cli", "`keyfob request`"),
];

const fn own(name: &'static str, title: &'static str) -> Face {
    Face {
        name,
        title,
        driver: Driver::Own,
    }
}

const fn python(name: &'static str, title: &'static str) -> Face {
    Face {
        name,
        title,
        driver: Driver::Python,
    }
}
