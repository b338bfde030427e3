//! What became of a token request: the one place that decides it (T9).
//!
//! A response that arrived whole is known, whatever its status, form or language. Only if the request was sent and no whole
//! response of the server itself arrived, the server may have used up a refresh token or a code without our knowing.

use crate::error::error::{Error, ErrorKind};
use crate::oauth::endpoint::{Endpoint, not_json};
use crate::oauth::error_code::ErrorCode;
use crate::oauth::error_response::{error_of, is_of_a_gateway};
use crate::oauth::http_client::{NoResponse, ServerResponse};
use crate::oauth::response_body::Body;
use crate::oauth::token_response::{ExpectedToken, read_token, take_refresh_token};
use crate::token::json::Object;
use crate::token::new_refresh_token::NewRefreshToken;
use crate::token::token::Token;

/// What became of a token request.
pub(crate) enum ExchangeOutcome {
    /// The server issued this token.
    Granted(Box<Token>),
    /// The server refused, or issued a token that cannot be used. It would do so again.
    Refused(Error),
    /// The request was not sent, or the response says nothing about it. It may be sent again.
    TryLater(Error),
    /// The request was sent, and no whole response of the server arrived.
    Unknown(Error),
}

impl ExchangeOutcome {
    /// Decides what became of a request.
    pub(crate) fn of(
        endpoint: &Endpoint,
        response: Result<ServerResponse, NoResponse>,
        expected: &ExpectedToken<'_>,
    ) -> Self {
        let response = match response {
            Ok(response) => response,
            Err(NoResponse {
                error, was_sent, ..
            }) => {
                return match was_sent {
                    true => Self::Unknown(error),
                    false => Self::TryLater(error),
                };
            }
        };
        match response.read() {
            Body::Members(object) => Self::of_members(endpoint, &response, object, expected),
            // Without a length, a broken connection looks like the end of the body.
            Body::Cut => Self::Unknown(Error::unavailable(format!(
                "{endpoint} sent a response that ends too early; it may have processed the request"
            ))),
            Body::Unreadable if response.status.is_success() => {
                Self::TryLater(response.add_pause(not_json(endpoint)))
            }
            Body::Unreadable => Self::of_error(endpoint, &response, None),
        }
    }

    fn of_members(
        endpoint: &Endpoint,
        response: &ServerResponse,
        mut object: Object,
        expected: &ExpectedToken<'_>,
    ) -> Self {
        if let Some(code) = ErrorCode::read(&object, response) {
            let outcome = Self::of_error(endpoint, response, Some(&code));
            return outcome.keeping_refresh_token(&mut object);
        }
        if !expected.is_in(&object) && !response.status.is_success() {
            return Self::of_error(endpoint, response, None).keeping_refresh_token(&mut object);
        }
        match read_token(endpoint, &mut object, expected) {
            Ok(token) => Self::Granted(Box::new(token)),
            Err(error) => Self::Refused(error).keeping_refresh_token(&mut object),
        }
    }

    /// The meaning of a response without a token.
    fn of_error(endpoint: &Endpoint, response: &ServerResponse, code: Option<&ErrorCode>) -> Self {
        let error = error_of(endpoint, response, code);
        if is_of_a_gateway(response.status, code) {
            return Self::Unknown(error);
        }
        match error.kind() {
            ErrorKind::Refused => Self::Refused(error),
            _ => Self::TryLater(error),
        }
    }

    /// Keeps the refresh token of a response that brings no token: the server has replaced the old one.
    fn keeping_refresh_token(self, object: &mut Object) -> Self {
        let Some(newest) = take_refresh_token(object) else {
            return self;
        };
        match self {
            Self::Granted(token) => Self::Granted(token),
            Self::Refused(error) | Self::TryLater(error) | Self::Unknown(error) => {
                Self::Refused(NewRefreshToken::add_to(error, newest))
            }
        }
    }

    /// The token, or the error with a mark that says whether the request may have been processed.
    pub(crate) fn into_result(self) -> Result<Token, Error> {
        match self {
            Self::Granted(token) => Ok(*token),
            Self::Refused(error) | Self::TryLater(error) => Err(error.outcome_known()),
            Self::Unknown(error) => Err(error.outcome_unknown()),
        }
    }
}
