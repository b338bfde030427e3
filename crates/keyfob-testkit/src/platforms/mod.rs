//! Fakes of the platforms that issue tokens.
//!
//! Each fake is a server on loopback. It checks what the platform checks: method, path, query, headers, body, the signature and
//! the claims of a JWT, the audience, the lifetime and the clock. It responds in the forms of the platform, also to what it
//! refuses. It checks what the platform documents and nothing else, so that a test which passes here has a good chance there.
//!
//! [`Fake`] has what all fakes share: the time, a log of what was accepted and refused, throttling and outages.

mod app_store_connect;
mod auth0;
mod azure_managed_identity;
mod clock;
mod databricks;
mod entra;
mod epic;
mod fake;
mod gcp_error;
mod gcp_metadata;
mod gcp_service_account;
mod gcp_workload_identity;
mod github;
mod github_actions;
mod jwt;
mod key;
mod keycloak;
mod kubernetes;
mod okta;
mod refusal;
mod salesforce;
mod snowflake;
mod token_request;
mod trusted_issuer;
mod vault;
mod zoom;

pub use app_store_connect::AppStoreConnect;
pub use auth0::Auth0;
pub use azure_managed_identity::AzureManagedIdentity;
pub use clock::FakeClock;
pub use databricks::Databricks;
pub use entra::Entra;
pub use epic::Epic;
pub use fake::{Fake, Platform};
pub use gcp_metadata::GcpMetadata;
pub use gcp_service_account::GcpServiceAccount;
pub use gcp_workload_identity::GcpWorkloadIdentity;
pub use github::GitHub;
pub use github_actions::GitHubActions;
pub use jwt::{JwtFault, JwtRules, ReadJwt};
pub use key::PlatformKey;
pub use keycloak::Keycloak;
pub use kubernetes::Kubernetes;
pub use okta::Okta;
pub use refusal::Refusal;
pub use salesforce::Salesforce;
pub use snowflake::Snowflake;
pub use vault::Vault;
pub use zoom::Zoom;
