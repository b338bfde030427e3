//! The pages of the repository, so that their examples are compiled and run like those of the library.

// The examples use every interface.
#![cfg(all(
    feature = "blocking",
    feature = "middleware",
    feature = "pool",
    feature = "profiles",
    feature = "proxy",
    feature = "tower"
))]

#[doc = include_str!("../../README.md")]
struct Readme;

#[doc = include_str!("../../docs/reference/interfaces.md")]
struct Interfaces;

#[doc = include_str!("../../docs/reference/sources.md")]
struct Sources;

#[doc = include_str!("../../docs/how-to/dpop.md")]
struct Dpop;

#[doc = include_str!("../../docs/how-to/proxy.md")]
struct Proxy;

#[doc = include_str!("../../docs/reference/errors-and-retries.md")]
struct ErrorsAndRetries;

#[doc = include_str!("../../docs/how-to/testing.md")]
struct Testing;

#[doc = include_str!("../../docs/reference/observability.md")]
struct Observability;

#[doc = include_str!("../../docs/reference/oauth.md")]
struct OAuth;

#[doc = include_str!("../../docs/how-to/login.md")]
struct Login;

#[doc = include_str!("../../docs/how-to/many-machines.md")]
struct ManyMachines;

#[doc = include_str!("../../docs/how-to/many-users.md")]
struct ManyUsers;

#[doc = include_str!("../../docs/reference/profiles.md")]
struct Profiles;

#[doc = include_str!("../../docs/how-to/tower.md")]
struct Tower;

#[doc = include_str!("../../docs/how-to/from-other-libraries.md")]
struct FromOtherLibraries;
