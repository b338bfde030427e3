//! The option for how long a token must stay valid.

use std::time::{Duration, SystemTime};

use clap::Args;
use keyfob::TokenCache;
use keyfob::cache::Lease;

use crate::options::token::seconds;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::renewal::renewed;

#[derive(Args)]
pub(crate) struct MinValid {
    /// Use only a token that stays valid for this long
    ///
    /// If less is left, the token is renewed. If the new one is shorter too, the command fails. A token whose expiry is not known is
    /// used.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    min_valid: Option<Duration>,
}

impl MinValid {
    /// The token, or a new one if it is not valid for long enough. A token that is new already is not renewed.
    pub(crate) async fn valid_enough(
        &self,
        lease: Lease,
        tokens: &TokenCache,
        is_new: bool,
    ) -> Result<Lease, CliError> {
        let Some(wanted) = self.min_valid else {
            return Ok(lease);
        };
        if time_left(&lease).is_none_or(|left| left >= wanted) {
            return Ok(lease);
        }
        let lease = match is_new {
            true => lease,
            false => renewed(tokens).await?,
        };
        match time_left(&lease) {
            Some(left) if left < wanted => Err(CliError::new(
                ExitCode::NoToken,
                format!(
                    "a new token is valid for only {} s; give a shorter --min-valid, or make the server issue tokens that last longer",
                    left.as_secs()
                ),
            )),
            _ => Ok(lease),
        }
    }
}

/// How long the token stays valid; `None` if its expiry is not known.
pub(crate) fn time_left(lease: &Lease) -> Option<Duration> {
    let end = lease.expires_at()?;
    Some(end.duration_since(SystemTime::now()).unwrap_or_default())
}
