//! Fakes of the platforms that issue tokens.
//!
//! Each fake is a server on loopback. It checks what the platform checks: method, path, query, headers, body, the signature and
//! the claims of a JWT, the audience, the lifetime and the clock. It responds in the forms of the platform, also to what it
//! refuses. It checks what the platform documents and nothing else, so that a test which passes here has a good chance there.
//!
//! [`Fake`] has what all fakes share: the time, a log of what was accepted and refused, throttling and outages.

mod azure_managed_identity;
mod clock;
mod entra;
mod fake;
mod gcp_error;
mod gcp_metadata;
mod gcp_service_account;
mod gcp_workload_identity;
mod github;
mod github_actions;
mod jwt;
mod key;
mod kubernetes;
mod refusal;

pub use azure_managed_identity::AzureManagedIdentity;
pub use clock::FakeClock;
pub use entra::Entra;
pub use fake::{Fake, Platform};
pub use gcp_metadata::GcpMetadata;
pub use gcp_service_account::GcpServiceAccount;
pub use gcp_workload_identity::GcpWorkloadIdentity;
pub use github::GitHub;
pub use github_actions::GitHubActions;
pub use jwt::{JwtFault, JwtRules, ReadJwt};
pub use key::PlatformKey;
pub use kubernetes::Kubernetes;
pub use refusal::Refusal;
