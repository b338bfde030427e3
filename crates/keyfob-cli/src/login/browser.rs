//! The browser of the person.

/// Opens a page, if the machine has a way to; says whether something was started.
pub(super) fn open(url: &str) -> bool {
    open::that_detached(url).is_ok()
}
