//! The files that the program needs: certificates that it trusts, and a module for Node.js.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory that only this user can enter. It is removed when this is dropped. It holds no secret.
pub(super) struct Files {
    directory: TempDir,
}

impl Files {
    /// Writes the files. The run's authority comes first among those of the system.
    pub(super) fn write(authority: &str) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("keyfob-run-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let directory = builder.tempdir()?;
        let files = Self { directory };
        let mut bundle = authority.as_bytes().to_vec();
        for path in trusted_so_far() {
            if let Ok(certificates) = fs::read(path) {
                bundle.push(b'\n');
                bundle.extend_from_slice(&certificates);
            }
        }
        fs::write(files.authorities(), bundle)?;
        fs::write(files.node_module(), NODE_MODULE)?;
        Ok(files)
    }

    /// All certificate authorities that the program trusts.
    pub(super) fn authorities(&self) -> PathBuf {
        self.directory.path().join("authorities.pem")
    }

    /// What makes old versions of Node.js use the proxy.
    pub(super) fn node_module(&self) -> PathBuf {
        self.directory.path().join("node-proxy.cjs")
    }
}

/// The files that the program would have used, each once, or else that of the system.
fn trusted_so_far() -> Vec<OsString> {
    let mut files: Vec<OsString> = AUTHORITY_VARIABLES
        .iter()
        .filter_map(env::var_os)
        .filter(|path| !path.is_empty())
        .collect();
    let names_the_system = env::var_os("SSL_CERT_FILE").is_some_and(|path| !path.is_empty());
    let system = SYSTEM_FILES.iter().find(|path| Path::new(path).exists());
    if !names_the_system && let Some(system) = system {
        files.push(system.into());
    }
    files.sort();
    files.dedup();
    files
}

/// The variables by which programs are told of a file with certificate authorities.
pub(super) const AUTHORITY_VARIABLES: [&str; 15] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "PIP_CERT",
    "DENO_CERT",
    "AWS_CA_BUNDLE",
    "BUNDLE_SSL_CA_CERT",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "NIX_SSL_CERT_FILE",
    "HTTPLIB2_CA_CERTS",
    // In place of the one in an npmrc.
    "npm_config_cafile",
];

/// Where systems have their authorities in one file; the first one that exists is used.
const SYSTEM_FILES: [&str; 6] = [
    // Debian, Alpine, Arch
    "/etc/ssl/certs/ca-certificates.crt",
    // Fedora
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    // openSUSE
    "/etc/ssl/ca-bundle.pem",
    // macOS, the BSDs
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

const NODE_MODULE: &str = include_str!("node_proxy.cjs");
