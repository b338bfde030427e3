//! What a person can do about a response that asks for more than a valid token.

use keyfob::exchange::{StepUp, StepUpReason};
use keyfob::{Origin, Profile};
use reqwest::Response;

use crate::options::token::TokenChoice;
use crate::output::login_command::LoginCommand;

/// A line that says what the server asks for and what to run; `None` if it asks for nothing.
pub(super) fn advice(
    response: &Response,
    chosen: &TokenChoice,
    config: &[String],
) -> Option<String> {
    let asked = StepUp::from_response(response.status(), response.headers())?;
    let TokenChoice::Profile(profile) = chosen else {
        return Some(asked.to_string());
    };
    // After a redirect to another server, that server did not get the token, so it cannot know what the token lacks.
    let origin = Origin::from_url(response.url()).ok()?;
    if !profile.origins().contains(&origin) {
        return None;
    }
    Some(format!("{asked}; {}", remedy(&asked, profile, config)))
}

fn remedy(asked: &StepUp, profile: &Profile, config: &[String]) -> String {
    let name = profile.name();
    if profile.sign_in().is_none() {
        return format!(
            "the token of the profile {name} comes from {}, which has to grant that",
            profile.token_from()
        );
    }
    let unnamed = ["SCOPE".to_owned()];
    let max_age = asked.max_age.map(|age| age.as_secs());
    let command = LoginCommand {
        profile: name,
        config,
        scopes: &asked.scopes,
        acr_values: &asked.acr_values,
        max_age,
    };
    let names_nothing = asked.scopes.is_empty() && asked.acr_values.is_empty() && max_age.is_none();
    match asked.reason {
        StepUpReason::InsufficientClaims => {
            format!(
                "put them as JSON into `claims` in the `parameters` of the profile, and run: {command}"
            )
        }
        StepUpReason::InsufficientScope if names_nothing => {
            let scopes = &unnamed;
            let command = LoginCommand { scopes, ..command };
            format!("find their names in the documentation of the server, and run: {command}")
        }
        // A new sign-in, because the browser may still have the old one.
        _ if names_nothing => {
            let max_age = Some(0);
            format!("run: {}", LoginCommand { max_age, ..command })
        }
        _ => format!("run: {command}"),
    }
}
