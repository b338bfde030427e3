//! The tokens of one source file, flat, without comments and without test code.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// What the rules look at.
pub(crate) struct Code {
    pub(crate) tokens: Vec<Token>,
    /// Names that `#[cfg(test)] mod name;` declares: files of test code.
    pub(crate) test_modules: Vec<String>,
}

/// A word, a mark, a delimiter or `::`, as written; a literal is "".
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) says: String,
}

impl Fault {
    pub(crate) fn new(line: usize, says: impl Into<String>) -> Self {
        Self {
            line,
            says: says.into(),
        }
    }
}

/// Whether `tokens` begin with these texts.
pub(crate) fn starts(tokens: &[Token], texts: &[&str]) -> bool {
    tokens.len() >= texts.len()
        && tokens
            .iter()
            .zip(texts)
            .all(|(token, text)| token.text == *text)
}

impl Code {
    pub(crate) fn parse(text: &str) -> Self {
        let stream: TokenStream = text.parse().expect("the sources compile");
        let mut code = Self {
            tokens: Vec::new(),
            test_modules: Vec::new(),
        };
        code.take(stream);
        code
    }

    fn take(&mut self, stream: TokenStream) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while at < trees.len() {
            at += match self.test_module(&trees[at..]) {
                Some(length) => length,
                None => self.take_one(&trees[at..]),
            };
        }
    }

    /// Takes the first of `trees`, or the first two for `::`; answers how many.
    fn take_one(&mut self, trees: &[TokenTree]) -> usize {
        match trees {
            [TokenTree::Group(group), ..] => {
                let (open, close) = delimiters(group.delimiter());
                self.push(open, group.span_open().start().line);
                self.take(group.stream());
                self.push(close, group.span_close().start().line);
            }
            [TokenTree::Punct(first), TokenTree::Punct(second), ..]
                if first.as_char() == ':'
                    && first.spacing() == Spacing::Joint
                    && second.as_char() == ':' =>
            {
                self.push("::", first.span().start().line);
                return 2;
            }
            [TokenTree::Literal(literal), ..] => self.push("", literal.span().start().line),
            [tree, ..] => self.push(&tree.to_string(), tree.span().start().line),
            [] => {}
        }
        1
    }

    fn push(&mut self, text: &str, line: usize) {
        self.tokens.push(Token {
            text: text.to_owned(),
            line,
        });
    }

    /// The length of a module that begins with `#[cfg(test)]`, attributes included; `None` for any other item.
    fn test_module(&mut self, trees: &[TokenTree]) -> Option<usize> {
        if !is_test_attribute(trees) {
            return None;
        }
        let keyword = trees
            .iter()
            .position(|tree| !is_attribute_or_visibility(tree))?;
        let [word, name, end, ..] = &trees[keyword..] else {
            return None;
        };
        if word.to_string() != "mod" {
            return None;
        }
        if end.to_string() == ";" {
            self.test_modules.push(name.to_string());
        }
        Some(keyword + 3)
    }
}

fn is_attribute_or_visibility(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Punct(mark) => mark.as_char() == '#',
        TokenTree::Group(group) => matches!(
            group.delimiter(),
            Delimiter::Bracket | Delimiter::Parenthesis
        ),
        TokenTree::Ident(word) => word == "pub",
        TokenTree::Literal(_) => false,
    }
}

/// Whether `trees` begin with a `#[cfg(…)]` that holds in tests only.
fn is_test_attribute(trees: &[TokenTree]) -> bool {
    let [TokenTree::Punct(mark), TokenTree::Group(attribute), ..] = trees else {
        return false;
    };
    let inside: Vec<TokenTree> = attribute.stream().into_iter().collect();
    let [TokenTree::Ident(name), TokenTree::Group(condition)] = inside.as_slice() else {
        return false;
    };
    mark.as_char() == '#' && name == "cfg" && needs_test(condition.stream())
}

/// Whether `test` is the condition, or one that `all` demands.
fn needs_test(condition: TokenStream) -> bool {
    let trees: Vec<TokenTree> = condition.into_iter().collect();
    trees
        .split(|tree| tree.to_string() == ",")
        .any(|part| match part {
            [TokenTree::Ident(word)] => word == "test",
            [TokenTree::Ident(word), TokenTree::Group(group)] => {
                word == "all" && needs_test(group.stream())
            }
            _ => false,
        })
}

fn delimiters(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let tokens = Code::parse(text).tokens;
        tokens
            .iter()
            .map(|token| token.text.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn comments_and_strings_are_gone() {
        assert_eq!(
            words("a /* b /* c */ d */ \"e\" r#\"f\"# 'g' // h\n i::<'j>::k"),
            "a    i :: < ' j > :: k"
        );
    }

    #[test]
    fn lines_are_kept() {
        let tokens = Code::parse("a\n\n/* x\n */ b").tokens;
        assert_eq!(
            tokens.iter().map(|token| token.line).collect::<Vec<_>>(),
            [1, 4]
        );
    }

    #[test]
    fn test_modules_are_gone() {
        assert_eq!(words("a; #[cfg(test)] mod tests { b } c"), "a ; c");
        assert_eq!(
            words("#[cfg(all(test, shuttle))] #[path = \"x\"] pub(crate) mod model { b } c"),
            "c"
        );
    }

    #[test]
    fn what_only_may_be_test_code_stays() {
        assert!(words("#[cfg(not(test))] mod m { a }").contains('a'));
        assert!(words("#[cfg(any(test, unix))] mod m { a }").contains("{ a }"));
        assert!(words("#[cfg(test)] fn f() { a }").contains("{ a }"));
    }

    #[test]
    fn files_of_test_code_are_named() {
        assert_eq!(
            Code::parse("#[cfg(test)] mod tests; mod other;").test_modules,
            ["tests"]
        );
    }
}
