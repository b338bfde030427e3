//! S1: what is left of a secret in this process's memory when its last owner has gone: nothing.
//!
//! All memory that can be written to is searched, that which was given back included. What is sought stands where nothing
//! can be written, so that the search does not find itself.

use std::fs;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use keyfob::{Token, TokenCache};

use crate::own_process::run_alone;

static SECRET: &str =
    "an-allocator-writes-over-the-beginning-of-what-is-given-back-so-its-end-is-sought";

/// What is sought of it.
const END: usize = 32;

/// How often the secret's end stands in memory that this process may write to.
fn copies_in_memory() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = File::open("/proc/self/mem").unwrap();
    // Wiped in the end, for the next search comes by it.
    let mut buffer = vec![0_u8; 1 << 20];
    let mut copies = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (range, _) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let [mut at, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        while at < end {
            let wanted = buffer.len().min(usize::try_from(end - at).unwrap());
            memory.seek(SeekFrom::Start(at)).unwrap();
            let Ok(read) = memory.read(&mut buffer[..wanted]) else {
                break;
            };
            copies += buffer[..read]
                .windows(END)
                .filter(|window| SECRET.as_bytes().ends_with(window))
                .count();
            // The next piece overlaps, so that no copy lies across the edge.
            let last = at + read as u64 >= end;
            at += (if last { read } else { read - END }) as u64;
        }
    }
    buffer.fill(0);
    std::hint::black_box(&buffer);
    copies
}

#[test]
#[ignore = "needs a process of its own; run by the test below"]
fn s1_alone_a_dropped_token_leaves_no_copy_in_memory() {
    let cache = TokenCache::new(keyfob::hook_blocking(|_| {
        let token = Token::new(SECRET)?
            .with_refresh_token(SECRET)?
            .expires_in(Duration::from_secs(300));
        Ok::<_, keyfob::Error>(token)
    }));
    let lease = cache.lease_blocking(None).unwrap();
    let headers = cache.request_headers().unwrap();
    drop((cache, lease));
    assert!(
        copies_in_memory() > 0,
        "a header that is still held keeps its copy"
    );
    drop(headers);
    assert_eq!(copies_in_memory(), 0);
}

#[test]
fn s1_the_memory_of_a_token_is_wiped_with_its_last_clone() {
    run_alone(
        "wiped_memory::s1_alone_a_dropped_token_leaves_no_copy_in_memory",
        &[],
    );
}
