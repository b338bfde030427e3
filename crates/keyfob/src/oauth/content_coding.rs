//! Content codings of responses (RFC 9110 §8.4.1), which some servers use although no coding was accepted.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use zeroize::Zeroizing;

type Bytes = Zeroizing<Vec<u8>>;

/// A body whose codings were undone, as far as they could be.
pub(crate) struct DecodedBody {
    pub(crate) body: Bytes,
    /// Whether it may still have a coding: one that is not known, or one that cannot be undone.
    pub(crate) may_be_coded: bool,
}

/// Undoes the codings of a body; `None` if the result is longer than the limit.
///
/// A body that does not have the coding that the header names is returned as it is.
pub(crate) fn decode(headers: &HeaderMap, body: Bytes, limit: usize) -> Option<DecodedBody> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let names = values.filter_map(|value| value.to_str().ok());
    let names = names.flat_map(|names| names.split(',')).map(str::trim);
    let names = names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
    let names: Vec<_> = names.take(MAX_CODINGS).collect();
    let mut codings: Vec<_> = names
        .iter()
        .filter_map(|name| Coding::named(name))
        .collect();
    let may_be_coded = codings.len() < names.len();
    if codings.is_empty() && body.starts_with(GZIP_MAGIC) {
        // No JSON and no form begins with these bytes, so the header was lost on the way.
        codings.push(Coding::Gzip);
    }
    // The header lists the codings in the order in which they were applied.
    let mut decoded = DecodedBody { body, may_be_coded };
    for coding in codings.iter().rev() {
        match coding.decode(&decoded.body, limit) {
            Decoded::Body(body) => decoded.body = body,
            Decoded::TooLong => return None,
            Decoded::NotInThisCoding => decoded.may_be_coded = true,
        }
    }
    Some(decoded)
}

#[derive(Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
}

enum Decoded {
    Body(Bytes),
    TooLong,
    NotInThisCoding,
}

impl Coding {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "br" => Self::Brotli,
            _ => return None,
        })
    }

    fn decode(self, body: &[u8], limit: usize) -> Decoded {
        match self {
            Self::Gzip => read(MultiGzDecoder::new(body), limit),
            Self::Brotli => read(brotli_decompressor::Decompressor::new(body, BUFFER), limit),
            // RFC 9110 §8.4.1.2 means the zlib format, and some servers send the data without it.
            Self::Deflate => match read(ZlibDecoder::new(body), limit) {
                Decoded::NotInThisCoding => read(DeflateDecoder::new(body), limit),
                decoded => decoded,
            },
        }
    }
}

fn read(decoder: impl Read, limit: usize) -> Decoded {
    // With room for a usual response: a buffer that grows leaves a copy of the token behind.
    let mut decoded = Zeroizing::new(Vec::with_capacity(BUFFER * 4));
    let one_more = limit as u64 + 1;
    match decoder.take(one_more).read_to_end(&mut decoded) {
        Err(_) => Decoded::NotInThisCoding,
        Ok(length) if length > limit => Decoded::TooLong,
        Ok(_) => Decoded::Body(decoded),
    }
}

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// More than one is rare; each could make the body larger again.
const MAX_CODINGS: usize = 4;

const BUFFER: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const TEXT: &[u8] = b"{\"access_token\":\"t\"}";

    fn headers(coding: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_ENCODING, coding.parse().unwrap())])
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(coding: &str, body: &[u8]) -> Option<Vec<u8>> {
        let decoded = decode(&headers(coding), Zeroizing::new(body.to_vec()), 1000);
        decoded.map(|decoded| decoded.body.to_vec())
    }

    #[test]
    fn each_coding_is_undone() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(TEXT).unwrap();
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(TEXT).unwrap();
        for (coding, body) in [
            ("gzip", gzip(TEXT)),
            ("X-GZIP", gzip(TEXT)),
            ("identity, gzip", gzip(TEXT)),
            ("gzip, gzip", gzip(&gzip(TEXT))),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", deflate.finish().unwrap()),
            ("br", BROTLI.to_vec()),
            ("identity", gzip(TEXT)),
            ("gzip", TEXT.to_vec()),
            ("unknown", TEXT.to_vec()),
        ] {
            assert_eq!(decoded(coding, &body).as_deref(), Some(TEXT), "{coding}");
        }
    }

    #[test]
    fn a_coding_that_cannot_be_undone_is_noticed() {
        let coded = gzip(TEXT);
        for (coding, body, expected) in [
            ("gzip", &coded[..], false),
            ("identity, ", TEXT, false),
            ("identity", &coded, false),
            ("gzip", &coded[..coded.len() - 4], true),
            ("identity", &coded[..8], true),
            ("zstd", TEXT, true),
            ("zstd, gzip", &coded, true),
        ] {
            let decoded = decode(&headers(coding), Zeroizing::new(body.to_vec()), 1000);
            assert_eq!(decoded.unwrap().may_be_coded, expected, "{coding}");
        }
    }

    #[test]
    fn a_small_body_that_becomes_large_is_refused() {
        assert!(decoded("gzip", &gzip(&[b' '; 1000])).is_some());
        assert!(decoded("gzip", &gzip(&[b' '; 1001])).is_none());
    }

    /// The text as one uncompressed block of Brotli (RFC 7932 §9.2).
    const BROTLI: &[u8] = b"\x30\x01\x10{\"access_token\":\"t\"}\x03";
}
