//! Threads in a process that has a Python interpreter, may fork, and may exit at any time.

pub(crate) mod caller;
pub(crate) mod critical_section;
pub(crate) mod threads;
pub(crate) mod wait;
