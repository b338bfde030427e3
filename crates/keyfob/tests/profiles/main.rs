//! Profile files: errors and their positions, the profile of a URL, and where tokens come from.

#![expect(
    clippy::disallowed_methods,
    reason = "renewals in the background end in real time"
)]

mod chains;
mod documentation;
mod file_errors;
mod folder;
mod grants;
mod helpers;
mod hostile_files;
mod old_formats;
#[path = "../tokens/own_process.rs"]
mod own_process;
mod placement;
mod platforms;
#[cfg(feature = "pool")]
mod pools;
mod renewals;
mod secret_sources;
mod selection;
mod sign_in_errors;
mod smart_backend_services;
mod store_keys;
