//! Profile files: what is refused and where, which profile a URL is of, and where tokens come from.

mod faults;
mod folder;
mod grants;
mod matching;
mod pages;
mod places;
mod store_keys;
