//! `keyfob login`: a person signs in, and the token is kept.

use std::time::{Duration, SystemTime};

use clap::Args;
use keyfob::profile::SignIn;
use keyfob::store::{Entry, StoreKey, TokenStore};
use keyfob::{Profile, Token};

use crate::options::sign_in::SignInProfile;
use crate::options::token::seconds;
use crate::output::error::CliError;
use crate::output::exit_code::{ExitCode, table};
use crate::output::print::{print_stderr, print_stdout};
use crate::output::spinner::Spinner;
use crate::stored_tokens::{LOCK_TIMEOUT, store_of};

/// Sign in to a profile, whose token is then kept and renewed without a person
///
/// In a browser on this machine, or with a code that is typed into one on any device, as the profile says. Its other uses, such as
/// keyfob request, find the token and renew it for as long as the server lets them. No token is printed.
#[derive(Args)]
#[command(after_long_help = table())]
pub(crate) struct Login {
    #[command(flatten)]
    which: SignInProfile,
    /// Sign in with a code that is typed into a browser on any device
    #[arg(long)]
    device: bool,
    /// Open no browser; the address is printed anyway
    #[arg(long)]
    no_browser: bool,
    /// How long to wait for the browser to come back, in seconds; a code ends when its server says
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    time_limit: Duration,
}

impl Login {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        let profile = self.which.choose()?;
        let (store, key) = store_of(&profile)?;
        // What cannot be kept had better be known before a person has done anything.
        let lease = store.lease(&key, LOCK_TIMEOUT).await;
        lease.map_err(keyfob::Error::from)?.release().await;
        let token = match profile.sign_in() {
            Some(SignIn::AuthorizationCode) if !self.device => self.in_browser(&profile).await?,
            _ => with_code(&profile).await?,
        };
        let renewable = token.refresh_token().is_some();
        keep(&*store, &key, token).await?;
        print_stdout(format!("signed in to {}\n", profile.name()))?;
        if !renewable {
            print_stderr(
                "keyfob: the server gave no refresh token, so a new sign-in is needed when this token ends; many servers give \
                 one for the scope offline_access\n",
            );
        }
        Ok(ExitCode::Done)
    }

    async fn in_browser(&self, profile: &Profile) -> Result<Token, CliError> {
        let flow = profile.authorization_code().await?;
        let request = flow.timeout(self.time_limit).start().await?;
        let opened = !self.no_browser && open::that_detached(request.url()).is_ok();
        let what = match opened {
            true => "A browser opens. If it does not, open this address in one on this machine:",
            false => "Open this address in a browser on this machine:",
        };
        print_stderr(format!("{what}\n\n  {}\n\n", request.url()));
        let waiting = Spinner::new("Waiting for the browser to come back");
        let token = request.wait().await;
        drop(waiting);
        Ok(token?)
    }
}

async fn with_code(profile: &Profile) -> Result<Token, CliError> {
    let authorization = profile.device_code().await?.start().await?;
    let (page, code) = (authorization.verification_uri(), authorization.user_code());
    print_stderr(format!(
        "Open this address in a browser on any device, and type the code:\n\n  {page}\n  {code}\n\n"
    ));
    if let Some(complete) = authorization.verification_uri_complete() {
        print_stderr(format!(
            "Or open this one, and compare the code:\n\n  {complete}\n\n"
        ));
    }
    let waiting = Spinner::new("Waiting for somebody to agree");
    let token = authorization.wait().await;
    drop(waiting);
    Ok(token?)
}

async fn keep(store: &dyn TokenStore, key: &StoreKey, token: Token) -> Result<(), CliError> {
    let entry = Entry::new(token, SystemTime::now());
    let kept = store.replace(key, &entry, LOCK_TIMEOUT).await;
    Ok(kept.map_err(keyfob::Error::from)?)
}
