//! The rules of style that a machine can check in one file alone.

use crate::code::{Code, Fault, Token, starts};

/// Every breach of a rule.
pub(crate) fn faults(code: &Code) -> Vec<Fault> {
    let mut faults = Vec::new();
    for at in 0..code.tokens.len() {
        let rest = &code.tokens[at..];
        let broken = RULES.iter().filter(|(is_broken, _)| is_broken(rest));
        faults.extend(broken.map(|(_, says)| Fault::new(rest[0].line, *says)));
    }
    faults
}

/// Whether these tokens begin with a breach.
type IsBroken = fn(&[Token]) -> bool;

/// Each with what it tells whoever breaks it; asked at every token.
const RULES: [(IsBroken, &str); 4] = [
    (
        is_braced_root,
        "braces after `crate::`: write one line per module",
    ),
    (
        is_super,
        "`super::` outside tests: write the path from `crate::`",
    ),
    (is_public_glob, "`pub use` with a star: name what is public"),
    (
        is_misplaced_cfg,
        "`cfg` stands on `mod` and `use` lines only",
    ),
];

fn is_braced_root(tokens: &[Token]) -> bool {
    starts(tokens, &["crate", "::", "{"])
}

fn is_super(tokens: &[Token]) -> bool {
    starts(tokens, &["super", "::"])
}

fn is_public_glob(tokens: &[Token]) -> bool {
    if !starts(tokens, &["pub"]) {
        return false;
    }
    let item = after_visibility(tokens);
    starts(item, &["use"])
        && item
            .iter()
            .take_while(|token| token.text != ";")
            .any(|token| token.text == "*")
}

fn is_misplaced_cfg(tokens: &[Token]) -> bool {
    if starts(tokens, &["cfg", "!"]) {
        return true;
    }
    let is_inner = starts(tokens, &["#", "!"]);
    let attribute = if is_inner {
        &tokens[2..]
    } else {
        tokens.get(1..).unwrap_or_default()
    };
    let is_cfg =
        starts(attribute, &["[", "cfg", "("]) || starts(attribute, &["[", "cfg_attr", "("]);
    if !starts(tokens, &["#"]) || !is_cfg {
        return false;
    }
    // docs.rs builds with this flag of its own; it changes pages, not code.
    if starts(attribute, &["[", "cfg_attr", "(", "docsrs", ","]) {
        return false;
    }
    let mut item = after_group(attribute);
    while starts(item, &["#", "["]) {
        item = after_group(&item[1..]);
    }
    let item = after_visibility(item);
    is_inner || !(starts(item, &["mod"]) || starts(item, &["use"]))
}

fn after_visibility(tokens: &[Token]) -> &[Token] {
    if !starts(tokens, &["pub"]) {
        return tokens;
    }
    if starts(tokens, &["pub", "("]) {
        after_group(&tokens[1..])
    } else {
        &tokens[1..]
    }
}

/// What follows the group that `tokens` begin with.
fn after_group(tokens: &[Token]) -> &[Token] {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &tokens[at + 1..];
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style_faults(text: &str) -> usize {
        faults(&Code::parse(text)).len()
    }

    #[test]
    fn braces_after_crate_are_found() {
        assert_eq!(style_faults("use crate::{token::Token, error::Error};"), 1);
    }

    #[test]
    fn super_is_found_outside_tests() {
        assert_eq!(style_faults("use super::Token;"), 1);
        assert_eq!(
            style_faults("pub(super) fn f() {} #[cfg(test)] mod tests { use super::*; }"),
            0
        );
    }

    #[test]
    fn a_public_glob_is_found() {
        assert_eq!(style_faults("pub use token::*;"), 1);
        assert_eq!(style_faults("pub(crate) use token::{a::*, b};"), 1);
        assert_eq!(style_faults("use token::*; pub fn f(x: *const u8) {}"), 0);
    }

    #[test]
    fn cfg_stands_on_mod_and_use() {
        assert_eq!(
            style_faults(
                "#[cfg(unix)] #[doc(hidden)] pub(crate) mod a; #[cfg(unix)] pub use a::B;"
            ),
            0
        );
        assert_eq!(style_faults("#![cfg_attr(docsrs, feature(doc_cfg))]"), 0);
    }

    #[test]
    fn cfg_anywhere_else_is_found() {
        assert_eq!(style_faults("#[cfg(unix)] fn f() {}"), 1);
        assert_eq!(style_faults("fn f() { if cfg!(unix) {} }"), 1);
        assert_eq!(style_faults("#![cfg(unix)]"), 1);
        assert_eq!(
            style_faults("#[cfg_attr(unix, derive(Debug))] struct S;"),
            1
        );
        assert_eq!(style_faults("struct S { #[cfg(unix)] field: u8 }"), 1);
    }
}
