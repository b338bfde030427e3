//! The body of a request for a token.

use std::fmt;

use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::oauth::http_token::part::Part;
use crate::oauth::http_token::pointer::Pointer;
use crate::oauth::inner_tokens::InnerTokens;

pub(crate) enum Body {
    None,
    Form(Vec<(String, Part)>),
    Json(Tree),
    Text(Part),
}

/// A JSON value whose texts are parts of a request.
pub(crate) enum Tree {
    Object(Vec<(String, Tree)>),
    Leaf(Part),
}

impl Body {
    pub(crate) fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Form(_) => Some("application/x-www-form-urlencoded"),
            Self::Json(_) => Some("application/json"),
            Self::Text(_) => Some("text/plain"),
        }
    }

    /// The body with the tokens in their places. `None` for a request without one.
    pub(crate) fn text(&self, tokens: &InnerTokens<'_>) -> Option<Zeroizing<String>> {
        // Enough for a usual body: a text that grows leaves a copy of the secrets behind.
        let mut text = Zeroizing::new(String::with_capacity(8 * 1024));
        match self {
            Self::None => return None,
            Self::Form(fields) => {
                let mut form = form_urlencoded::Serializer::new(&mut *text);
                for (name, part) in fields {
                    form.append_pair(name, &part.text(tokens));
                }
            }
            Self::Json(tree) => tree.write(&mut text, tokens),
            Self::Text(part) => text.push_str(&part.text(tokens)),
        }
        Some(text)
    }
}

impl Tree {
    /// Sets the value at a pointer, and makes the objects around it.
    pub(crate) fn set(&mut self, pointer: &Pointer, part: Part) -> Result<(), Error> {
        let mut place = self;
        for step in pointer.steps() {
            let Self::Object(members) = place else {
                return Err(conflict(pointer));
            };
            let known = members.iter().position(|(name, _)| name == step);
            let index = known.unwrap_or_else(|| {
                members.push((step.clone(), Self::Object(Vec::new())));
                members.len() - 1
            });
            place = &mut members[index].1;
        }
        match place {
            Self::Object(members) if members.is_empty() => *place = Self::Leaf(part),
            _ => return Err(conflict(pointer)),
        }
        Ok(())
    }

    fn write(&self, text: &mut String, tokens: &InnerTokens<'_>) {
        match self {
            Self::Object(members) => {
                text.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    write_text(text, name);
                    text.push(':');
                    value.write(text, tokens);
                }
                text.push('}');
            }
            Self::Leaf(Part::Json(value)) => text.push_str(&value.to_string()),
            Self::Leaf(part) => write_text(text, &part.text(tokens)),
        }
    }
}

/// Writes a JSON string (RFC 8259 §7).
fn write_text(text: &mut String, value: &str) {
    let json = serde_json::to_string(value).expect("a text is always valid JSON");
    text.push_str(&Zeroizing::new(json));
}

fn conflict(pointer: &Pointer) -> Error {
    Error::input(format!(
        "the JSON body has two values at `{pointer}`, or one inside of the other; remove one"
    ))
}

/// Only the names of the members: the values may be secrets.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Text(_) => f.write_str("text"),
            Self::Form(fields) => {
                let names = fields.iter().map(|(name, _)| name);
                f.debug_list().entries(names).finish()
            }
            Self::Json(Tree::Object(members)) => {
                let names = members.iter().map(|(name, _)| name);
                f.debug_set().entries(names).finish()
            }
            Self::Json(Tree::Leaf(_)) => f.write_str("json"),
        }
    }
}
