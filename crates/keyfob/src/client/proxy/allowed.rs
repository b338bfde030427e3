//! Which requests a route sends.

use http::{HeaderValue, Method, StatusCode};

use crate::client::proxy::problem::Problem;
use crate::client::proxy::target::{Base, check_path};
use crate::error::error::Error;

/// The methods and paths that a route allows. An empty list allows all.
#[derive(Debug)]
pub(super) struct Allowed {
    methods: Vec<Method>,
    /// Whole paths of the upstream, in the spelling in which a request must have them.
    paths: Vec<String>,
}

impl Allowed {
    /// `paths` are below the base URL.
    pub(super) fn new(methods: Vec<Method>, paths: &[String], base: &Base) -> Result<Self, Error> {
        let whole = |path: &String| {
            let checked = check_path(path).and_then(|()| base.path_of(path, None));
            let whole = checked.map_err(|problem| {
                Error::input(format!(
                    "an allowed path of a route cannot be used: {}; give one such as `/repos/our-team`",
                    problem.detail
                ))
            });
            whole.map(|whole| whole.path().to_owned())
        };
        let paths = paths.iter().map(whole).collect::<Result<_, _>>()?;
        Ok(Self { methods, paths })
    }

    pub(super) fn check(&self, method: &Method, path: &str) -> Result<(), Problem> {
        if !self.methods.is_empty() && !self.methods.contains(method) {
            let mut problem = Problem::input(
                StatusCode::METHOD_NOT_ALLOWED,
                "the route does not allow the method",
            );
            let names: Vec<_> = self.methods.iter().map(Method::as_str).collect();
            problem.allow = HeaderValue::try_from(names.join(", ")).ok();
            return Err(problem);
        }
        if !self.paths.is_empty() && !self.paths.iter().any(|top| is_at_or_below(top, path)) {
            return Err(Problem::input(
                StatusCode::FORBIDDEN,
                "the route does not allow the path",
            ));
        }
        Ok(())
    }
}

/// Whether a path is this one, or below it. `/users/` has only paths below it.
fn is_at_or_below(top: &str, path: &str) -> bool {
    let rest = path.strip_prefix(top);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || top.ends_with('/'))
}
