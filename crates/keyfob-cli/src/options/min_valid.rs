//! The option for how long a token must stay valid.

use std::time::{Duration, SystemTime};

use clap::Args;
use keyfob::cache::Lease;
use keyfob::{Profile, Token, TokenCache};

use crate::options::token::seconds;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::renewal::{renewed, stored_token};

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
    /// The token that [`valid_enough`](Self::valid_enough) compares with. Read before a token is fetched.
    pub(crate) async fn stored(&self, profile: &Profile) -> Result<Option<Token>, CliError> {
        match self.min_valid {
            Some(_) => stored_token(profile).await,
            None => Ok(None),
        }
    }

    /// The token, or a new one if it is not valid for long enough.
    ///
    /// A token that is not the one that was `stored` before this run is new already, and is not renewed (T1).
    pub(crate) async fn valid_enough(
        &self,
        lease: Lease,
        tokens: &TokenCache,
        stored: Option<&Token>,
    ) -> Result<Lease, CliError> {
        let Some(wanted) = self.min_valid else {
            return Ok(lease);
        };
        if time_left(&lease).is_none_or(|left| left >= wanted) {
            return Ok(lease);
        }
        let lease = match stored {
            Some(stored) if stored.expose() == lease.token().expose() => renewed(tokens).await?,
            _ => lease,
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
