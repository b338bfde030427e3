//! A checksum of bodies that are too large to keep.

/// Computes the checksum that [`Received::checksum`](crate::Received::checksum) has for this body.
///
/// It shows whether two bodies differ, for instance because a replayed upload lost a piece. It has no cryptographic strength. How
/// the body is split into parts does not matter.
///
/// ```
/// use keyfob_testkit::checksum;
///
/// assert_eq!(checksum([&b"some body"[..]]), checksum([&b"some "[..], &b"body"[..]]));
/// assert_ne!(checksum([&b"some body"[..]]), checksum([&b"some bod"[..]]));
/// ```
pub fn checksum<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut checksum = Checksum::new();
    for part in parts {
        checksum.update(part);
    }
    checksum.finish()
}

/// A running checksum: FNV-1a over words of eight bytes, which is fast enough in debug builds.
#[derive(Debug)]
pub(crate) struct Checksum {
    state: u64,
    length: u64,
    word: [u8; 8],
    filled: usize,
}

impl Checksum {
    pub(crate) fn new() -> Self {
        Self {
            state: OFFSET,
            length: 0,
            word: [0; 8],
            filled: 0,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let mut rest = bytes;
        if self.filled > 0 {
            let missing = (8 - self.filled).min(rest.len());
            let (head, tail) = rest.split_at(missing);
            self.word[self.filled..self.filled + missing].copy_from_slice(head);
            self.filled += missing;
            rest = tail;
            if self.filled < 8 {
                return;
            }
            self.state = mix(self.state, u64::from_le_bytes(self.word));
        }
        let (words, tail) = rest.as_chunks::<8>();
        let mut state = self.state;
        for word in words {
            state = mix(state, u64::from_le_bytes(*word));
        }
        self.state = state;
        self.word[..tail.len()].copy_from_slice(tail);
        self.filled = tail.len();
    }

    pub(crate) fn finish(mut self) -> u64 {
        self.word[self.filled..].fill(0);
        let state = mix(self.state, u64::from_le_bytes(self.word));
        mix(state, self.length)
    }
}

fn mix(state: u64, word: u64) -> u64 {
    // The rotation moves high bits down, which multiplication alone never does.
    (state ^ word).wrapping_mul(PRIME).rotate_left(29)
}

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_matter_and_bytes_do() {
        let body: Vec<u8> = (0..100).collect();
        let whole = checksum([&body[..]]);
        for cut in 0..body.len() {
            assert_eq!(checksum([&body[..cut], &body[cut..]]), whole);
            assert_ne!(checksum([&body[..cut]]), whole);
        }
        assert_eq!(checksum(body.chunks(3)), whole);
    }

    #[test]
    fn trailing_zeros_count() {
        assert_ne!(checksum([&b"a"[..]]), checksum([&b"a\0"[..]]));
    }
}
