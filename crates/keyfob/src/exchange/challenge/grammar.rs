//! The grammar of `WWW-Authenticate`, which divides a field into pieces.
//!
//! [RFC 9110 §11.2 to §11.6.1](https://www.rfc-editor.org/rfc/rfc9110.html#section-11.2) nest a list of parameters in
//! a list of challenges, and separate both with commas.

use std::{mem, str};

/// An element of the two nested lists of the field.
///
/// A comma ends a parameter or a challenge, and only the text after it shows which. So the field is read as one list of
/// pieces, and each parameter belongs to the scheme before it.
pub(super) enum Piece<'a> {
    Scheme(&'a str, Option<&'a str>),
    Parameter(&'a str, String),
}

/// The field violates the grammar at this place.
pub(super) struct Fault;

/// The unread part of a field.
///
/// It only moves forward, with one exception: after a scheme it goes back if the text is not a `token68`.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    /// Whether the last piece was a scheme that is followed by a blank instead of a comma.
    after_scheme: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(field: &'a [u8]) -> Self {
        Self {
            rest: field,
            after_scheme: false,
        }
    }

    /// Reads one piece, up to the comma or the end of the field.
    pub(super) fn piece(&mut self) -> Result<Option<Piece<'a>>, Fault> {
        let after_scheme = mem::take(&mut self.after_scheme);
        // "A recipient MUST parse and ignore a reasonable number of empty list elements"
        // https://www.rfc-editor.org/rfc/rfc9110.html#section-5.6.1.2
        self.take(|byte| is_blank(byte) || byte == b',');
        if self.rest.is_empty() {
            return Ok(None);
        }
        let name = self.token()?;
        let blanks = self.take(is_blank);
        if self.rest.first() == Some(&b'=') {
            return self.parameter(name).map(Some);
        }
        if after_scheme {
            return Err(Fault);
        }
        if self.at_end_of_element() {
            return Ok(Some(Piece::Scheme(name, None)));
        }
        if blanks.is_empty() {
            return Err(Fault);
        }
        let token68 = self.token68();
        self.after_scheme = token68.is_none();
        Ok(Some(Piece::Scheme(name, token68)))
    }

    /// Reads the rest of an `auth-param`, beginning with the equals sign.
    fn parameter(&mut self, name: &'a str) -> Result<Piece<'a>, Fault> {
        self.rest = &self.rest[1..];
        self.take(is_blank);
        let value = match self.rest.first() {
            Some(b'"') => self.quoted_string()?,
            _ => self.token()?.to_owned(),
        };
        self.take(is_blank);
        if !self.at_end_of_element() {
            return Err(Fault);
        }
        Ok(Piece::Parameter(name, value))
    }

    fn quoted_string(&mut self) -> Result<String, Fault> {
        let mut value = Vec::new();
        let mut bytes = self.rest[1..].iter().copied();
        loop {
            let byte = match bytes.next() {
                Some(b'"') => break,
                Some(b'\\') => bytes.next(),
                other => other,
            };
            value.push(byte.filter(|&byte| is_text(byte)).ok_or(Fault)?);
        }
        self.rest = &self.rest[self.rest.len() - bytes.len()..];
        Ok(decode(value))
    }

    /// Reads a `token68` if the whole element is one, and otherwise nothing.
    ///
    /// [`Cursor::piece`] ensures that the element is not empty and does not begin with an equals sign.
    fn token68(&mut self) -> Option<&'a str> {
        let start = self.rest;
        let letters = self.take(is_token68).len();
        let padding = self.take(|byte| byte == b'=').len();
        self.take(is_blank);
        if self.at_end_of_element() {
            return Some(ascii(&start[..letters + padding]));
        }
        self.rest = start;
        None
    }

    fn token(&mut self) -> Result<&'a str, Fault> {
        match self.take(is_token) {
            [] => Err(Fault),
            token => Ok(ascii(token)),
        }
    }

    fn take(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| !belongs(byte));
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn at_end_of_element(&self) -> bool {
        matches!(self.rest.first(), None | Some(b','))
    }
}

fn ascii(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("only ASCII belongs to a token or a token68")
}

fn decode(value: Vec<u8>) -> String {
    String::from_utf8(value).unwrap_or_else(|latin1| {
        let bytes = latin1.into_bytes();
        bytes.into_iter().map(char::from).collect()
    })
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `tchar` of [RFC 9110 §5.6.2](https://www.rfc-editor.org/rfc/rfc9110.html#section-5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a byte is allowed in a quoted string, where the quote and the backslash are handled separately.
///
/// See [RFC 9110 §5.6.4](https://www.rfc-editor.org/rfc/rfc9110.html#section-5.6.4).
pub(super) fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)
}
