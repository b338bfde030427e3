//! The request body, and the option that it comes from.

use http::Method;
use keyfob::session::RequestBuilder;

use crate::commands::request::body_options::BodyOptions;
use crate::commands::request::data;
use crate::commands::request::form::Form;
use crate::commands::request::payload::Payload;
use crate::commands::request::progress::Progress;
use crate::output::error::CliError;

/// The body, and the option that it comes from.
pub(super) enum RequestBody {
    None,
    Data(Payload),
    Json(Payload),
    /// With the boundary between its parts.
    Form(String, Payload),
    Upload(Payload),
}

impl RequestBody {
    /// Reads the body that the options name. Large files and standard input are only opened.
    pub(super) fn read(options: &BodyOptions) -> Result<Self, CliError> {
        if let Some(path) = &options.upload_file {
            return Ok(Self::Upload(Payload::file(path)?));
        }
        if let Some(text) = &options.json {
            return Ok(Self::Json(Payload::read(text)?));
        }
        if !options.form.is_empty() || !options.form_string.is_empty() {
            let form = Form::read(&options.form, &options.form_string)?;
            return Ok(Self::Form(form.boundary, form.payload));
        }
        if options.get {
            return Ok(Self::None);
        }
        Ok(data::payload(options)?.map_or(Self::None, Self::Data))
    }

    /// The method, unless one is given.
    pub(super) fn default_method(&self) -> Method {
        match self {
            Self::None => Method::GET,
            Self::Data(_) | Self::Json(_) | Self::Form(..) => Method::POST,
            Self::Upload(_) => Method::PUT,
        }
    }

    /// The number of bytes, if it is known.
    pub(super) fn length(&self) -> Option<u64> {
        self.payload()?.length()
    }

    /// Adds the body to the request. The progress shows how much of it was sent.
    pub(super) fn add_to(self, request: RequestBuilder, progress: Progress) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Data(payload)
            | Self::Json(payload)
            | Self::Form(_, payload)
            | Self::Upload(payload) => payload.add_to(request, progress),
        }
    }

    fn payload(&self) -> Option<&Payload> {
        match self {
            Self::None => None,
            Self::Data(payload)
            | Self::Json(payload)
            | Self::Form(_, payload)
            | Self::Upload(payload) => Some(payload),
        }
    }
}
