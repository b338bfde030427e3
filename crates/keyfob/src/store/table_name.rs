//! Which names a table in a database may have.

/// Fails unless this is the name of a table, perhaps after a schema and a dot. The error continues the name of the option.
///
/// Statements quote the name. The database would still refuse an empty part, and a control character would be shown to people
/// who review the statements.
///
/// ```
/// use keyfob::store::check_table_name;
///
/// assert!(check_table_name("auth.tokens").is_ok());
/// assert!(check_table_name("auth.").is_err());
/// ```
///
/// # Errors
///
/// What is wrong with the name.
pub fn check_table_name(name: &str) -> Result<(), &'static str> {
    let parts: Vec<_> = name.split('.').collect();
    if parts.len() > 2 || parts.iter().any(|part| part.is_empty()) {
        return Err(
            "is not the name of a table; give one such as `tokens`, or `auth.tokens` with its schema",
        );
    }
    match name.chars().any(char::is_control) {
        true => {
            Err("has a control character, such as a line end; give the name of a table without one")
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_table_has_one_or_two_parts_on_one_line() {
        for name in ["tokens", "auth.tokens", "Odd \"name\"; --", "Übersicht"] {
            assert_eq!(check_table_name(name), Ok(()), "{name}");
        }
        for name in [
            "", ".", ".x", "x.", "a..b", "a.b.c", "a\nb", "a\rb", "a.b\0", "a\u{85}b",
        ] {
            assert!(check_table_name(name).is_err(), "{name:?}");
        }
    }
}
