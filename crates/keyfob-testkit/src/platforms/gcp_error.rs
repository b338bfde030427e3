//! The two forms of Google's errors.

use serde_json::json;

use crate::platforms::refusal::Refusal;
use crate::server::response::ScriptedResponse;

/// An error of a token endpoint: `error` and `error_description`.
pub(crate) fn oauth_error(
    status: u16,
    code: &str,
    reason: impl Into<String>,
    description: &str,
) -> Refusal {
    let body = json!({"error": code, "error_description": description});
    Refusal::new(reason, ScriptedResponse::json(body).with_status(status))
}

/// An error of an API: an object with `code`, `message` and `status`.
pub(crate) fn api_error(status: u16, name: &str, reason: impl Into<String>) -> Refusal {
    let message = match name {
        "UNAUTHENTICATED" => "Request had invalid authentication credentials.",
        "PERMISSION_DENIED" => "Permission denied on resource (or it may not exist).",
        "INVALID_ARGUMENT" => "Request contains an invalid argument.",
        "NOT_FOUND" => "Requested entity was not found.",
        "RESOURCE_EXHAUSTED" => "Quota exceeded.",
        _ => "The service is currently unavailable.",
    };
    let body = json!({"error": {"code": status, "message": message, "status": name}});
    Refusal::new(reason, ScriptedResponse::json(body).with_status(status))
}
