//! Profiles of a `keyfob.toml`, for sessions and handlers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyfob::exchange::Exchange;
use keyfob::origin::Origins as CoreOrigins;
use keyfob::{ClientCertificate, Error, Profile as CoreProfile, Profiles, TokenSource};
use pyo3::prelude::*;

use crate::cache::pool::{PoolSettings, PooledRequests, TokenPool, make_source};
use crate::client::origins::Origins;
use crate::client::retry_policy::RetryPolicy;
use crate::error::profile_error;
use crate::runtime::critical_section::detached;
use crate::source::reentrancy::next_number;
use crate::source::remade::RemadeSource;
use crate::source::source::Source;

/// The settings of one profile.
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct Profile(pub(crate) CoreProfile);

#[pymethods]
impl Profile {
    /// Reads the profile with this name from this file, or from the default one.
    ///
    /// `ca_file` replaces the CA file of the profile; `default_ca_file` is used if the profile has none. `cert` replaces the files
    /// of its client certificate and of the key.
    #[staticmethod]
    #[pyo3(signature = (name, file, ca_file=None, default_ca_file=None, cert=None))]
    fn named(
        py: Python<'_>,
        name: &str,
        file: Option<PathBuf>,
        ca_file: Option<PathBuf>,
        default_ca_file: Option<PathBuf>,
        cert: Option<(PathBuf, PathBuf)>,
    ) -> PyResult<Self> {
        let profile = detached(py, || {
            let profile = read(file)?.get(name)?.clone();
            let own = profile.ca_file().is_some();
            let profile = match ca_file.or(default_ca_file.filter(|_| !own)) {
                Some(ca_file) => profile.with_ca_file(ca_file),
                None => profile,
            };
            Ok(match cert {
                Some((certificate, key)) => {
                    let certificate = ClientCertificate::from_files(certificate, key)?;
                    profile.with_client_certificate(&certificate)
                }
                None => profile,
            })
        });
        profile
            .map(Self)
            .map_err(|error: Error| profile_error(py, &error))
    }

    /// The file with the certificate authorities that are trusted in place of the system's.
    #[getter]
    fn ca_file(&self) -> Option<&Path> {
        self.0.ca_file()
    }

    /// The files of the client certificate for its servers and of the key, and the passphrase of the key.
    fn client_certificate(
        &self,
        py: Python<'_>,
    ) -> PyResult<Option<(PathBuf, PathBuf, Option<String>)>> {
        let certificate = detached(py, || self.0.client_certificate());
        let certificate = certificate.map_err(|error| profile_error(py, &error))?;
        Ok(certificate.map(|certificate| {
            let (file, key) = certificate.files();
            let passphrase = certificate.passphrase().map(str::to_owned);
            (file.to_owned(), key.to_owned(), passphrase)
        }))
    }

    /// The URL that relative URLs are resolved against; its path ends with a slash.
    #[getter]
    fn base_url(&self) -> Option<&str> {
        self.0.base_url().map(|url| url.as_str())
    }

    /// The retry policy, with a budget of its own.
    #[getter]
    fn retry(&self) -> RetryPolicy {
        RetryPolicy {
            core: Arc::new(self.0.retry().clone()),
            budget: Arc::default(),
        }
    }

    /// How long nothing may move in an attempt, in seconds.
    #[getter]
    fn timeout(&self) -> Option<f64> {
        self.0.timeout().map(|limit| limit.as_secs_f64())
    }

    /// How many redirects are followed, if the file sets it.
    #[getter]
    fn redirects(&self) -> Option<u32> {
        self.0.redirects()
    }

    /// How many redirects a session follows.
    #[getter]
    fn redirects_of_session(&self) -> u32 {
        self.0.redirects().unwrap_or(Exchange::REDIRECTS)
    }

    /// The origins that may receive its token.
    fn origins(&self) -> Origins {
        Origins::with(origins(&self.0))
    }

    /// A pool with its settings. The function returns a hook or a source of the subject token of a key.
    fn pool(
        &self,
        py: Python<'_>,
        subject_token: Option<Py<PyAny>>,
        settings: PoolSettings,
    ) -> PyResult<TokenPool> {
        let prover = detached(py, || {
            self.0.require_server()?;
            self.0.dpop_prover()
        });
        let requests = PooledRequests {
            prover: prover.map_err(|error: Error| profile_error(py, &error))?,
            rejected: self.0.rejected_statuses().to_vec(),
        };
        let number = next_number();
        let (profile, subject_token) = (self.0.clone(), subject_token.map(Arc::new));
        let builder = move |py: Python<'_>| {
            let profile = profile.forked();
            let builder = match subject_token.clone() {
                Some(subject_token) => profile
                    .pool_with_subject_tokens(move |key| make_source(&subject_token, key, number)),
                None => profile.pool(),
            };
            builder.map_err(|error| profile_error(py, &error))
        };
        TokenPool::made(py, settings, number, requests, builder)
    }

    /// The source of its token.
    fn source(&self, py: Python<'_>) -> PyResult<Source> {
        let made = detached(py, || {
            self.0.require_server()?;
            let prover = self.0.dpop_prover()?;
            let profile = self.0.clone();
            let source = RemadeSource::new(Arc::new(move || profile.forked().source()))?;
            Ok((prover, Arc::new(source)))
        });
        let (prover, source) = made.map_err(|error: Error| profile_error(py, &error))?;
        Ok(Source {
            core: Arc::clone(&source) as Arc<dyn TokenSource>,
            default_lifetime: self.0.default_lifetime(),
            fetch_timeout: self.0.fetch_timeout(),
            origins: origins(&self.0),
            rejected_statuses: self.0.rejected_statuses().to_vec(),
            prover,
            remade: Some(source),
            caller_token: None,
            name: "profile",
        })
    }
}

/// The names of the profiles in this file, or in the default one.
#[pyfunction]
#[pyo3(signature = (file))]
pub(crate) fn profile_names(py: Python<'_>, file: Option<PathBuf>) -> PyResult<Vec<String>> {
    let names = detached(py, || {
        let profiles = read(file)?;
        Ok(profiles
            .iter()
            .map(|profile| profile.name().to_owned())
            .collect())
    });
    names.map_err(|error: Error| profile_error(py, &error))
}

fn read(file: Option<PathBuf>) -> Result<Profiles, Error> {
    match file {
        Some(file) => Profiles::from_file(file),
        None => Profiles::from_default_file(),
    }
}

fn origins(profile: &CoreProfile) -> CoreOrigins {
    let mut origins = CoreOrigins::default();
    for origin in profile.plain_http_origins() {
        origins.allow_plain_http(origin.clone());
    }
    for origin in profile.origins() {
        origins.bind(origin.clone());
    }
    origins
}
