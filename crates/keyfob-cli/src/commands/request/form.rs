//! A multipart form (RFC 7578), as `--form` describes it.

use std::path::Path;

use bytes::Bytes;

use crate::commands::request::payload::{Payload, Piece, contents};
use crate::output::error::CliError;

/// A form, ready to be sent.
pub(super) struct Form {
    pub(super) boundary: String,
    pub(super) payload: Payload,
}

/// One part of a form.
#[derive(Default)]
struct Part {
    name: String,
    file_name: Option<String>,
    media_type: Option<String>,
    contents: Option<Piece>,
}

impl Form {
    /// Reads the parts; those of `--form-string` come last.
    pub(super) fn read(parts: &[String], texts: &[String]) -> Result<Self, CliError> {
        let described = parts.iter().map(|text| Part::read(text));
        let plain = texts.iter().map(|text| {
            let (name, value) = split(text, "--form-string")?;
            Ok(Part::text(name, value.as_bytes().to_vec()))
        });
        let boundary = boundary()?;
        let mut pieces = Vec::new();
        for part in described.chain(plain) {
            let part = part?;
            pieces.push(Piece::Bytes(part.head(&boundary).into()));
            pieces.extend(part.contents);
            pieces.push(Piece::Bytes(Bytes::from_static(b"\r\n")));
        }
        pieces.push(Piece::Bytes(format!("--{boundary}--\r\n").into()));
        Ok(Self {
            boundary,
            payload: Payload::of(pieces),
        })
    }
}

impl Part {
    fn text(name: &str, contents: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            contents: Some(Piece::Bytes(contents.into())),
            ..Self::default()
        }
    }

    /// Reads `NAME=TEXT`, `NAME=<FILE` or `NAME=@FILE`, with attributes behind a `;`.
    fn read(text: &str) -> Result<Self, CliError> {
        let (name, value) = split(text, "--form")?;
        let (value, attributes) = attributes(value);
        let mut part = if let Some(path) = value.strip_prefix('@') {
            Self::file(name, path)?
        } else if let Some(path) = value.strip_prefix('<') {
            Self::text(name, contents(path)?)
        } else {
            Self::text(name, value.as_bytes().to_vec())
        };
        for (key, value) in attributes {
            match key {
                "type" => part.media_type = Some(value.to_owned()),
                _ => part.file_name = Some(value.to_owned()),
            }
        }
        let has_line_end = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default();
            text.contains(['\r', '\n'])
        };
        if has_line_end(&part.media_type) {
            return Err(CliError::usage("--form has a type with a line end"));
        }
        Ok(part)
    }

    fn file(name: &str, path: &str) -> Result<Self, CliError> {
        let contents = match path {
            "-" => Piece::Bytes(contents(path)?.into()),
            path => Piece::file(Path::new(path))?,
        };
        let file_name = Path::new(path).file_name();
        Ok(Self {
            name: name.to_owned(),
            file_name: file_name.map(|name| name.to_string_lossy().into_owned()),
            media_type: Some(media_type(path).to_owned()),
            contents: Some(contents),
        })
    }

    fn head(&self, boundary: &str) -> String {
        let mut head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
            quoted(&self.name)
        );
        if let Some(name) = &self.file_name {
            head.push_str(&format!("; filename=\"{}\"", quoted(name)));
        }
        if let Some(media_type) = &self.media_type {
            head.push_str(&format!("\r\nContent-Type: {media_type}"));
        }
        head + "\r\n\r\n"
    }
}

fn split<'a>(text: &'a str, option: &str) -> Result<(&'a str, &'a str), CliError> {
    // The text is not quoted, because it may be a secret.
    text.split_once('=').ok_or_else(|| {
        CliError::usage(format!(
            "{option} has a part without a name; give NAME=TEXT"
        ))
    })
}

/// The value without the attributes at its end.
fn attributes(mut value: &str) -> (&str, Vec<(&str, &str)>) {
    let mut found = Vec::new();
    while let Some((before, last)) = value.rsplit_once(';')
        && let Some((key, text)) = last.split_once('=')
        && let key @ ("type" | "filename") = key.trim()
    {
        found.push((key, text.trim_matches('"')));
        value = before;
    }
    (value, found)
}

/// A name for a quoted field, as browsers escape it (HTML, multipart/form-data encoding algorithm).
fn quoted(name: &str) -> String {
    let name = name.replace('"', "%22");
    name.replace('\r', "%0D").replace('\n', "%0A")
}

/// The media type of a file, by its name, for the types that curl knows.
fn media_type(path: &str) -> &'static str {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "gif" => "image/gif",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain",
        "htm" | "html" => "text/html",
        "pdf" => "application/pdf",
        "xml" => "application/xml",
        "json" => "application/json",
        _ => "application/octet-stream",
    }
}

/// Random, so that no file contains it.
fn boundary() -> Result<String, CliError> {
    let mut bytes = [0; 16];
    let filled = aws_lc_rs::rand::fill(&mut bytes);
    filled.map_err(|_| CliError::usage("this machine has no random numbers for a form"))?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("keyfob-{hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_each_part_between_boundaries() {
        let parts = ["a=1;type=text/csv".to_owned(), "b\"=x;y".to_owned()];
        let form = Form::read(&parts, &["c=@d".to_owned()]).unwrap();
        let Payload::InMemory(bytes) = form.payload else {
            panic!("the parts are in memory");
        };
        let text = String::from_utf8(bytes.into()).unwrap();
        let text = text.replace(&form.boundary, "B").replace("\r\n", "|");
        let part = "--B|Content-Disposition: form-data; name=";
        let expected = format!(
            "{part}\"a\"|Content-Type: text/csv||1|{part}\"b%22\"||x;y|{part}\"c\"||@d|--B--|"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_part_without_a_name_is_refused_without_its_text() {
        let error = Part::read("s3cret").err().unwrap();
        assert!(!error.message().unwrap().contains("s3cret"));
    }
}
