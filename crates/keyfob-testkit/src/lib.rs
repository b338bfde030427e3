//! Test kit of keyfob.
