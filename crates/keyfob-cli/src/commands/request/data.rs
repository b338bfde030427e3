//! The data of `--data`, `--data-raw` and `--data-urlencode`, as a body or as a query.

use bytes::Bytes;
use url::form_urlencoded::byte_serialize;

use crate::commands::request::body_options::BodyOptions;
use crate::commands::request::payload::{Payload, Piece, contents};
use crate::output::error::CliError;

/// The parts, joined by `&`; `None` without one. A single `--data` of a file is not read into memory.
pub(super) fn payload(options: &BodyOptions) -> Result<Option<Payload>, CliError> {
    if let ([text], [], []) = parts(options) {
        return Payload::read(text).map(Some);
    }
    let joined = joined(options)?;
    Ok(joined.map(|bytes| Payload::of(vec![Piece::Bytes(bytes)])))
}

/// The same as text for the query of a URL.
pub(super) fn query(options: &BodyOptions) -> Result<Option<String>, CliError> {
    let Some(bytes) = joined(options)? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes.into());
    let text = text.map_err(|_| {
        CliError::usage("the data for the query is not text; encode it with --data-urlencode")
    })?;
    Ok(Some(text))
}

fn parts(options: &BodyOptions) -> (&[String], &[String], &[String]) {
    (&options.data, &options.data_raw, &options.data_urlencode)
}

/// Options of one name in their order; those of different names one after the other.
fn joined(options: &BodyOptions) -> Result<Option<Bytes>, CliError> {
    let (data, raw, encoded) = parts(options);
    let mut whole = Vec::new();
    for text in data {
        whole.push(match text.strip_prefix('@') {
            None => text.clone().into_bytes(),
            Some(path) => contents(path)?,
        });
    }
    whole.extend(raw.iter().map(|text| text.clone().into_bytes()));
    for text in encoded {
        whole.push(urlencoded(text)?.into_bytes());
    }
    Ok((!whole.is_empty()).then(|| whole.join(&b'&').into()))
}

/// The part with its contents percent-encoded, and the name before them as it is.
fn urlencoded(text: &str) -> Result<String, CliError> {
    let (name, contents) = match text.find(['=', '@']) {
        None => ("", text.as_bytes().to_vec()),
        Some(at) if text[at..].starts_with('=') => {
            (&text[..at], text.as_bytes()[at + 1..].to_vec())
        }
        Some(at) => (&text[..at], contents(&text[at + 1..])?),
    };
    let encoded: String = byte_serialize(&contents).collect();
    Ok(match name {
        "" => encoded,
        name => format!("{name}={encoded}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_encoded_and_names_are_not() {
        for (text, encoded) in [
            ("a b&c", "a+b%26c"),
            ("=a=b", "a%3Db"),
            ("q=ä b", "q=%C3%A4+b"),
            ("q=", "q="),
        ] {
            assert_eq!(urlencoded(text).unwrap(), encoded, "{text}");
        }
    }
}
