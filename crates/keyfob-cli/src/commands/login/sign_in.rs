//! The sign-in of a person to a profile, with a browser or a code.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use clap::Args;
use keyfob::oauth::ManualResponse;
use keyfob::profile::SignIn;
use keyfob::store::{StoreErrorKind, seal_again};
use keyfob::{Profile, Token};

use crate::commands::login::keep::keep;
use crate::commands::login::redirect_page::RedirectPage;
use crate::commands::login::terminal_lines::{may_be_cut, terminal_lines};
use crate::commands::login::wishes::{Wishes, words};
use crate::options::profile::ConfigOption;
use crate::options::token::seconds;
use crate::output::error::CliError;
use crate::output::print::{print_stderr, print_stdout};
use crate::output::spinner::Spinner;
use crate::stored_tokens::{LOCK_TIMEOUT, round_trip, store_of};

/// The options that say how a person signs in.
#[derive(Args)]
pub(super) struct SignInOptions {
    /// Sign in with a code that you type into a browser on any device
    #[arg(long)]
    device: bool,
    /// Do not open a browser; only print the address
    #[arg(long)]
    no_browser: bool,
    /// How long to wait for the sign-in in the browser, in seconds; the server sets the limit for a code
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    timeout: Duration,
    #[command(flatten)]
    wishes: Wishes,
}

/// Adds what the options ask for to a sign-in.
///
/// A macro, because the two sign-ins have the same setters but no common trait.
macro_rules! with_wishes {
    ($flow:expr, $scopes:expr, $wishes:expr) => {{
        let flow = $flow.scopes($scopes);
        let flow = match $wishes.classes() {
            classes if classes.is_empty() => flow,
            classes => flow.acr_values(classes),
        };
        match $wishes.max_age {
            Some(seconds) => flow.max_age(Duration::from_secs(seconds)),
            None => flow,
        }
    }};
}

impl SignInOptions {
    /// Signs a person in, and stores the token. The options name the file of the profile.
    pub(super) async fn sign_in(
        &self,
        profile: &Profile,
        config: &ConfigOption,
    ) -> Result<(), CliError> {
        require_writable(profile).await?;
        let token = self.token(profile).await?;
        self.keep(profile, token, config).await
    }

    /// Signs a person in.
    pub(super) async fn token(&self, profile: &Profile) -> Result<Token, keyfob::Error> {
        let scopes = self.wishes.scopes_after(&granted(profile).await);
        match profile.sign_in() {
            Some(SignIn::AuthorizationCode) if !self.device => {
                self.in_browser(profile, &scopes).await
            }
            _ => self.with_code(profile, &scopes).await,
        }
    }

    /// Stores the token of a sign-in, and says so.
    pub(super) async fn keep(
        &self,
        profile: &Profile,
        token: Token,
        config: &ConfigOption,
    ) -> Result<(), CliError> {
        // Of the last sign-in, which is replaced now.
        let missing = self.wishes.missing(&granted(profile).await, &token);
        let renewable = token.refresh_token().is_some();
        keep(profile, token).await?;
        print_stdout(format!("signed in to {}\n", profile.name()))?;
        if !missing.is_empty() {
            print_stderr(self.wishes.report(profile.name(), config, &missing));
        }
        if !renewable {
            print_stderr(
                "keyfob: the server issued no refresh token, so you have to sign in again when this token expires; many servers \
                 issue one for the scope offline_access\n",
            );
        }
        Ok(())
    }

    async fn in_browser(
        &self,
        profile: &Profile,
        scopes: &[String],
    ) -> Result<Token, keyfob::Error> {
        let flow = profile.authorization_code().await?;
        let flow = with_wishes!(flow, scopes, self.wishes);
        let request = flow.timeout(self.timeout).start().await?;
        // The file is removed when the sign-in has ended.
        let page = match self.no_browser {
            true => None,
            false => RedirectPage::new(request.url()).ok(),
        };
        let opened = page
            .as_ref()
            .is_some_and(|page| open::that_detached(page.path()).is_ok());
        let instruction = match opened {
            true => "A browser opens. If it does not, open this address",
            false => "Open this address in a browser",
        };
        let limit = request
            .expires_in()
            .map_or_else(String::new, |left| format!(" within {} s", left.as_secs()));
        print_stderr(format!(
            "{instruction}{limit}:\n\n  {}\n\n{MANUAL}\n\n",
            request.url()
        ));
        let manual = request.manual_response();
        tokio::select! {
            token = request.wait() => token,
            never = submit_lines(manual) => match never {},
        }
    }

    async fn with_code(
        &self,
        profile: &Profile,
        scopes: &[String],
    ) -> Result<Token, keyfob::Error> {
        let flow = profile.device_code().await?;
        let authorization = with_wishes!(flow, scopes, self.wishes).start().await?;
        let (page, code) = (authorization.verification_uri(), authorization.user_code());
        print_stderr(format!(
            "Open this address in a browser on any device, and type the code:\n\n  {page}\n  {code}\n\n"
        ));
        if let Some(complete) = authorization.verification_uri_complete() {
            print_stderr(format!(
                "Or open this address, and compare the code:\n\n  {complete}\n\n"
            ));
        }
        let spinner = Spinner::new("Waiting for the sign-in");
        let token = authorization.wait().await;
        drop(spinner);
        token
    }
}

/// The scopes that the last sign-in was granted. None if there was none, or if its entry cannot be read, which a sign-in replaces.
async fn granted(profile: &Profile) -> Vec<String> {
    let Ok(Some((store, key))) = profile.store() else {
        return Vec::new();
    };
    let stored = store.load(&key).await.ok().flatten();
    let token = stored.as_ref().and_then(|stored| stored.entry.token());
    let scope = token.and_then(Token::scope).unwrap_or_default();
    words(scope).map(str::to_owned).collect()
}

/// Passes on the lines that a person pastes.
async fn submit_lines(manual: ManualResponse) -> Infallible {
    let mut lines = terminal_lines();
    while let Some(line) = lines.recv().await {
        if line.trim().is_empty() {
            continue;
        }
        if may_be_cut(&line) {
            print_stderr(CUT);
            continue;
        }
        if let Err(error) = manual.submit(&line).await {
            print_stderr(format!("keyfob: {error}\n"));
        }
    }
    pending().await
}

/// Reports a store that cannot be written, and a stored token that a sign-in does not replace, before the person signs in.
pub(super) async fn require_writable(profile: &Profile) -> Result<(), CliError> {
    let (store, key) = store_of(profile)?;
    // Saved as it is, so that nothing is lost if the sign-in fails.
    let tried = match seal_again(&*store, &key, LOCK_TIMEOUT).await {
        Ok(true) => return Ok(()),
        Ok(false) => round_trip(&*store).await,
        Err(fault) => match fault.kind() {
            // The new token replaces it.
            StoreErrorKind::Damaged | StoreErrorKind::Outdated => round_trip(&*store).await,
            _ => Err(fault),
        },
    };
    tried.map_err(|fault| {
        let can_be_forgotten = fault.is_unreadable() && fault.moved_to().is_none();
        let error = CliError::from(keyfob::Error::from(fault));
        match error.message() {
            Some(reason) if can_be_forgotten => CliError::new(
                error.exit(),
                format!("{reason}; or remove that token with `keyfob forget`, and sign in again"),
            ),
            _ => error,
        }
    })
}

/// What to do if the browser cannot open the redirect URI, which is an address of this machine.
const MANUAL: &str = "If that browser runs on another machine, its last page cannot be opened. Paste the address of that page here:";

/// What to do with an address that the terminal has cut. The redirect URI is an address of this machine.
const CUT: &str = "keyfob: the terminal cuts a line after 4095 characters, and the address is longer; forward its port to this machine \
                   with `ssh -L` and load the page again, open the address on this machine, or sign in with --device\n";
