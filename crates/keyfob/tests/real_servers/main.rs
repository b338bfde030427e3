//! Tests against real servers: the certified `oidc-provider`, `glewlwyd`, which disagrees with it, OpenBao,
//! Redis, PostgreSQL, and a browser.
//!
//! `cargo xtask test` installs the servers and runs these tests in its gates `oauth`, `browser` and `stores`.

#![expect(clippy::unwrap_used, reason = "a failed step of a test may panic")]
#![expect(clippy::disallowed_methods, reason = "real servers run in real time")]

mod browser;
#[expect(dead_code, reason = "the test of secrets uses more of it")]
#[path = "../requests/captured_log.rs"]
mod captured_log;
#[path = "../stores/counters.rs"]
mod counters;
mod device_code_pauses;
#[expect(dead_code, reason = "the tests of the stores use more of it")]
#[path = "../stores/fixtures.rs"]
mod fixtures;
mod glewlwyd_grants;
mod glewlwyd_server;
#[expect(dead_code, reason = "the main function of the example is not called")]
#[path = "../../examples/many_users.rs"]
mod many_users;
mod old_formats;
mod openbao;
mod openbao_server;
#[path = "../stores/other_process.rs"]
mod other_process;
mod pages_in_a_browser;
mod postgres;
mod postgres_connections;
mod postgres_server;
mod provider_certificates;
mod provider_dpop;
mod provider_grants;
mod provider_many_users;
mod provider_outage;
mod provider_pushed_requests;
mod provider_refresh;
mod provider_server;
mod provider_sign_in;
mod redis;
mod redis_cluster;
mod redis_cluster_server;
mod redis_sentinel;
mod redis_sentinel_server;
mod redis_server;
