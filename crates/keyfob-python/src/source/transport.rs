//! How a source reaches the server that issues its token.

use std::path::PathBuf;

use keyfob::{ClientCertificate, Error};
use pyo3::prelude::*;

use crate::convert::seconds;

/// The settings of the connections to the server.
#[derive(Clone, FromPyObject)]
pub(crate) struct Transport {
    pub(crate) ca_file: Option<PathBuf>,
    /// The files of the client certificate and its key.
    pub(crate) cert: Option<(PathBuf, PathBuf)>,
    /// The origin that may be reached with plain `http`.
    pub(crate) allow_plain_http: Option<String>,
    timeout: Option<f64>,
}

impl Transport {
    /// The limit of one request.
    pub(crate) fn timeout(&self) -> PyResult<Option<std::time::Duration>> {
        let timeout = self.timeout.map(|timeout| seconds("timeout", timeout));
        timeout.transpose()
    }

    pub(crate) fn certificate(&self) -> Result<Option<ClientCertificate>, Error> {
        let files = self.cert.clone();
        let files = files.map(|(certificate, key)| ClientCertificate::from_files(certificate, key));
        files.transpose()
    }
}

/// Sets what the caller gave on a builder.
macro_rules! reached_by {
    ($builder:expr, $transport:expr, $timeout:expr) => {{
        let (mut builder, transport) = ($builder, $transport);
        if let Some(file) = &transport.ca_file {
            builder = builder.ca_file(file);
        }
        if let Some(certificate) = transport.certificate()? {
            builder = builder.client_certificate(&certificate);
        }
        if let Some(origin) = &transport.allow_plain_http {
            builder = builder.allow_plain_http(origin);
        }
        match $timeout {
            Some(timeout) => builder.timeout(timeout),
            None => builder,
        }
    }};
}

pub(crate) use reached_by;
