//! A text in a request: one that is fixed, or the token of another source.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::oauth::inner_tokens::{InnerSources, InnerTokens};
use crate::source::source::TokenSource;

/// A text in a request of [`HttpToken`](crate::HttpToken): one that you give, or the token of another source.
///
/// ```
/// use keyfob::FileToken;
/// use keyfob::oauth::RequestText;
///
/// let secret = RequestText::from("s3cr3t");
/// let token = RequestText::token_of(FileToken::new("/var/run/secrets/tokens/vault")).after("Bearer ");
/// assert!(!format!("{secret:?} {token:?}").contains("s3cr3t"));
/// ```
#[derive(Clone)]
pub struct RequestText(Content);

#[derive(Clone)]
enum Content {
    Text(Zeroizing<String>),
    /// A number, `true` or `false`, which only JSON has.
    Json(Value),
    /// The token that is to be renewed.
    Previous,
    Token {
        /// What errors call it, if not by its place in the request.
        name: Option<String>,
        prefix: Zeroizing<String>,
        source: Arc<dyn TokenSource>,
    },
}

impl RequestText {
    /// The token of this source, which is asked for each request.
    ///
    /// If the server refuses the request with 401, the source is asked for another token, and the request is sent once more.
    pub fn token_of(source: impl TokenSource) -> Self {
        Self(Content::Token {
            name: None,
            prefix: Zeroizing::default(),
            source: Arc::new(source),
        })
    }

    /// The token that is to be renewed, in the request of a [renewal](crate::HttpTokenBuilder::renewal).
    #[must_use]
    pub fn previous_token() -> Self {
        Self(Content::Previous)
    }

    /// The same with a text in front of it, such as `Bearer ` with its space.
    #[must_use]
    pub fn after(mut self, text: impl Into<String>) -> Self {
        let text = Zeroizing::new(text.into());
        match &mut self.0 {
            Content::Token { prefix, .. } => *prefix = text,
            Content::Text(own) => *own = Zeroizing::new([text.as_str(), own.as_str()].concat()),
            Content::Json(_) | Content::Previous => {}
        }
        self
    }

    /// Whether it is an empty text.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.0, Content::Text(text) if text.is_empty())
    }

    /// Sets what errors call the token.
    pub(crate) fn called(mut self, text: impl Into<String>) -> Self {
        if let Content::Token { name, .. } = &mut self.0 {
            *name = Some(text.into());
        }
        self
    }

    /// The part of a request, whose source is added to the others.
    pub(super) fn into_part(self, place: &str, sources: &mut InnerSources) -> Part {
        match self.0 {
            Content::Text(text) => Part::Text(text),
            Content::Json(value) => Part::Json(value),
            Content::Previous => Part::Previous,
            Content::Token {
                name,
                prefix,
                source,
            } => {
                let name = name.unwrap_or_else(|| format!("the token in {place}"));
                let index = sources.add(name, source);
                Part::Token { prefix, index }
            }
        }
    }
}

/// A part of a request.
pub(crate) enum Part {
    Text(Zeroizing<String>),
    Json(Value),
    /// The token that is to be renewed.
    Previous,
    /// The token with this index, after a text.
    Token {
        prefix: Zeroizing<String>,
        index: usize,
    },
}

impl Part {
    pub(super) fn text(&self, tokens: &InnerTokens<'_>) -> Zeroizing<String> {
        Zeroizing::new(match self {
            Self::Text(text) => text.to_string(),
            Self::Json(value) => value.to_string(),
            Self::Previous => tokens.previous().to_owned(),
            Self::Token { prefix, index } => [prefix.as_str(), tokens.text(*index)].concat(),
        })
    }
}

impl From<&str> for RequestText {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for RequestText {
    fn from(text: String) -> Self {
        Self(Content::Text(Zeroizing::new(text)))
    }
}

impl From<Zeroizing<String>> for RequestText {
    fn from(text: Zeroizing<String>) -> Self {
        Self(Content::Text(text))
    }
}

/// A text stays a text. Anything else keeps its type in a JSON body, and is written as JSON elsewhere.
impl From<Value> for RequestText {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => text.into(),
            other => Self(Content::Json(other)),
        }
    }
}

impl fmt::Debug for RequestText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Content::Token { .. } | Content::Previous => "RequestText(a token)",
            Content::Text(_) | Content::Json(_) => "RequestText(a text)",
        })
    }
}
