//! Profile files: what is refused and where, which profile a URL is of, and where tokens come from.

mod documentation;
mod file_errors;
mod folder;
mod grants;
mod secret_sources;
mod selection;
mod store_keys;
