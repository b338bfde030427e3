//! `--write-out`: a text with facts about the response.

use std::str::FromStr;
use std::time::Duration;

use http::Method;
use http::header::CONTENT_TYPE;
use reqwest::Response;

/// A text with places for facts.
#[derive(Clone)]
pub(super) struct WriteOut(Vec<Part>);

#[derive(Clone)]
enum Part {
    Text(String),
    Fact(Fact),
}

#[derive(Clone, Copy)]
enum Fact {
    ResponseCode,
    ContentType,
    SizeDownload,
    TimeTotal,
    Method,
}

/// The facts that are known before the body was received.
pub(super) struct Facts {
    response_code: u16,
    content_type: String,
    method: Method,
}

impl Facts {
    pub(super) fn of(response: &Response, method: &Method) -> Self {
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.map(|value| String::from_utf8_lossy(value.as_bytes()));
        Self {
            response_code: response.status().as_u16(),
            content_type: content_type.unwrap_or_default().into_owned(),
            method: method.clone(),
        }
    }
}

impl WriteOut {
    /// The text for a response with a body of so many bytes, which arrived after this time.
    pub(super) fn filled(&self, facts: &Facts, size: u64, time: Duration) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Fact(Fact::ResponseCode) => format!("{:03}", facts.response_code),
            Part::Fact(Fact::ContentType) => facts.content_type.clone(),
            Part::Fact(Fact::SizeDownload) => size.to_string(),
            Part::Fact(Fact::TimeTotal) => format!("{:.6}", time.as_secs_f64()),
            Part::Fact(Fact::Method) => facts.method.to_string(),
        });
        parts.collect()
    }
}

impl FromStr for WriteOut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars();
        while let Some(char) = rest.next() {
            let text = rest.as_str();
            match (char, text.chars().next()) {
                ('\\', Some(escaped @ ('n' | 'r' | 't' | '\\'))) => {
                    rest.next();
                    plain.push(match escaped {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        other => other,
                    });
                }
                ('%', Some('%')) => {
                    rest.next();
                    plain.push('%');
                }
                ('%', Some('{')) => {
                    let end = text.find('}').ok_or("close the brace of each %{NAME}")?;
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(Part::Fact(Fact::named(&text[1..end])?));
                    rest = text[end + 1..].chars();
                }
                (char, _) => plain.push(char),
            }
        }
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }
}

impl Fact {
    fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "response_code" | "http_code" => Self::ResponseCode,
            "content_type" => Self::ContentType,
            "size_download" => Self::SizeDownload,
            "time_total" => Self::TimeTotal,
            "method" => Self::Method,
            _ => {
                return Err(
                    "known are %{response_code}, %{http_code}, %{content_type}, %{size_download}, %{time_total} and %{method}"
                        .to_owned(),
                );
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_and_escapes_are_filled_in() {
        let facts = Facts {
            response_code: 200,
            content_type: "text/plain".to_owned(),
            method: Method::GET,
        };
        let text = r"%{method} %{http_code} %{content_type} %{size_download} %{time_total}%%\t\x\n";
        let filled = text.parse::<WriteOut>().unwrap();
        let filled = filled.filled(&facts, 4, Duration::from_millis(1500));
        assert_eq!(filled, "GET 200 text/plain 4 1.500000%\t\\x\n");
        assert!("%{nonsense}".parse::<WriteOut>().is_err());
        assert!("%{http_code".parse::<WriteOut>().is_err());
    }
}
