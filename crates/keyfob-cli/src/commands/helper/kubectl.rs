//! An exec plugin of Kubernetes' clients: kubectl, and every program that reads a kubeconfig.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>

use clap::Args;

use crate::commands::helper::choose::HelperOptions;
use crate::commands::helper::repeated::credential_for_parent;
use crate::credential::{requested_api_version, requested_server};
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;

/// Give the token for a cluster to kubectl, or to any program that reads a kubeconfig
///
/// The kubeconfig has to set `provideClusterInfo: true`, so that kubectl names the cluster. If the same program asks again while the
/// token that it got has not expired, that token is taken for rejected and renewed, at most once in a minute.
#[derive(Args)]
pub(super) struct Kubectl {
    #[command(flatten)]
    options: HelperOptions,
}

impl Kubectl {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let version = requested_api_version()?;
        let server = requested_server().ok_or_else(|| {
            CliError::usage(
                "kubectl does not say which cluster the token is for; set `provideClusterInfo: true` next to `command` in the kubeconfig",
            )
        })?;
        let (server, chosen) = self.options.require(&server)?;
        let credential = credential_for_parent(&chosen, &server).await?;
        print_stdout(format!("{}\n", credential.k8s(version)?))?;
        Ok(ExitCode::Done)
    }
}
