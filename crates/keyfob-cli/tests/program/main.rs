//! The program as its users run it, against servers that the tests script.

#[path = "../../../keyfob/tests/certificates/broken_servers.rs"]
mod broken_servers;
mod certificates;
mod demo;
mod errors;
mod exit_codes;
mod formats;
mod help;
mod helper;
mod helper_git;
mod helper_setup;
mod json;
mod keyfob;
mod memory;
mod old_formats;
mod output;
mod pending_sign_in;
mod profile_add;
mod profiles;
mod proxy;
mod proxy_admission;
mod proxy_reload;
mod proxy_service;
mod proxy_start;
mod proxy_units;
mod renewals;
mod run;
mod sign_in;
mod sign_in_by_url;
mod sign_in_clients;
mod signals;
mod step_up;
mod store;
mod stored_tokens;
mod subjects;
mod waiting;
