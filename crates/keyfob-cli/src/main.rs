//! The command line of keyfob.

fn main() {}
