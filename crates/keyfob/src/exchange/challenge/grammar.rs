//! The grammar of `WWW-Authenticate`: a field taken apart into pieces.
//!
//! [RFC 9110 §11.2 to §11.6.1](https://www.rfc-editor.org/rfc/rfc9110.html#section-11.2) nest a list of parameters in
//! a list of challenges, and part both with commas.

use std::{mem, str};

/// What the two nested lists of the field are made of.
///
/// A comma ends a parameter or a challenge, and only what stands after it tells which. So the field is read as one
/// list of pieces, and each parameter goes to the scheme before it.
pub(super) enum Piece<'a> {
    Scheme(&'a str, Option<&'a str>),
    Parameter(&'a str, String),
}

/// The field breaks the grammar here.
pub(super) struct Fault;

/// The part of a field that is still to be read.
///
/// It moves forward only, except past what turns out not to be a `token68`: that is looked at once, after a scheme.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    /// Whether the piece before was a scheme that is followed by a blank instead of a comma.
    after_scheme: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(field: &'a [u8]) -> Self {
        Self {
            rest: field,
            after_scheme: false,
        }
    }

    /// Reads one piece, up to the comma or the end that proves it whole.
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

    /// Reads the rest of an `auth-param`, from the equals sign on.
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

    /// Reads a `token68` if a whole element is one, and else nothing.
    ///
    /// The element is not empty and does not begin with an equals sign: [`Cursor::piece`] has seen to that.
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

/// What may stand between quotes once the quote and the backslash are dealt with.
///
/// See [RFC 9110 §5.6.4](https://www.rfc-editor.org/rfc/rfc9110.html#section-5.6.4).
pub(super) fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)
}
