//! S1: after the last clone of a token is dropped, the memory of the process has no copy of it.
//!
//! The test searches all writable memory, freed memory included. The searched text is in read-only memory, so that the
//! search does not find itself.

use std::fs;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use keyfob::{Token, TokenCache};

use crate::own_process::run_alone;

static SECRET: &str =
    "an-allocator-writes-over-the-beginning-of-what-is-given-back-so-its-end-is-sought";

/// The part of the secret that is searched for.
const END: usize = 32;

/// How often the end of the secret is in writable memory of this process.
fn copies_in_memory() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = File::open("/proc/self/mem").unwrap();
    // Wiped at the end, because the next search reads this buffer too.
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
            // The next piece overlaps with this one, so that a copy across the boundary is found.
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
    run_alone::<&str>(
        "wiped_memory::s1_alone_a_dropped_token_leaves_no_copy_in_memory",
        &[],
    );
}
