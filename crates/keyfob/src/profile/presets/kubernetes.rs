//! Kubernetes: the token of a pod's service account, from the file that the kubelet replaces.

use crate::profile::key::{Key, Kind};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::token::{TokenFrom, TokenSettings};
use crate::profile::secret_ref::{SecretRef, absolute};
use crate::token::secret_file::{FileUse, SecretFile};

/// <https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken>
pub(super) static SERVICE_ACCOUNT: Preset = Preset::new(
    "kubernetes_service_account",
    "The token of the service account of a pod",
    SERVICE_ACCOUNT_KEYS,
    &[],
    service_account,
);

const SERVICE_ACCOUNT_KEYS: &[Key] = &[Key::new("path", Kind::Text, "the token file")
    .default("`/var/run/secrets/kubernetes.io/serviceaccount/token`")];

fn service_account(values: &Values) -> Result<TokenSettings, String> {
    let path = absolute(values.text("path")).map_err(|problem| format!("`path` {problem}"))?;
    // All users of the pod can read it.
    let file = SecretRef::File(SecretFile::new(path, FileUse::Projected));
    Ok(TokenSettings::new(TokenFrom::Secret(file)).called("the token of the service account"))
}
