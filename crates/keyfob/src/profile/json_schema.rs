//! The JSON Schema of the profile file, made from the keys that the readers declare.

use serde_json::{Map, Value, json};

#[cfg(test)]
mod tests;

use crate::profile::key::{Key, Kind, TableKeys, Variant};
use crate::profile::presets;
use crate::profile::profile::Profiles;
use crate::profile::schema::{FILE, token};

impl Profiles {
    /// The JSON Schema (draft 2020-12) of `keyfob.toml`, with which editors complete and check the file.
    ///
    /// It is made from the definitions that read the file. What needs more than the text of one table is left to the reader, such as
    /// whether a secret exists.
    ///
    /// ```
    /// use keyfob::Profiles;
    ///
    /// let schema = Profiles::json_schema();
    /// assert!(schema.contains("\"https://json-schema.org/draft/2020-12/schema\""));
    /// ```
    #[must_use]
    pub fn json_schema() -> String {
        let mut tables = Map::new();
        define(&mut tables, &FILE);
        define(&mut tables, &token::KEYS);
        let mut tokens = vec![pattern(TOKEN), reference(&token::KEYS)];
        for preset in presets::ALL {
            define(&mut tables, &preset.table);
            let table = &mut tables[preset.table.name];
            table["properties"]["preset"] = json!({"const": preset.table.name});
            let required = preset.table.required.iter().chain(&["preset"]);
            table["required"] = required.copied().collect();
            tokens.push(reference(&preset.table));
        }
        tables.insert(TOKEN_PLACE.to_owned(), json!({"anyOf": tokens}));
        let file = tables.remove(FILE.name).unwrap_or_default();
        let mut schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "keyfob.toml",
            "$defs": tables,
        });
        if let (Some(schema), Value::Object(file)) = (schema.as_object_mut(), file) {
            schema.extend(file);
        }
        format!("{schema:#}\n")
    }
}

/// Adds the schema of a table and of all tables in it.
fn define(tables: &mut Map<String, Value>, table: &TableKeys) {
    // Before its inner tables, so that a table in itself would end this.
    tables.insert(table.name.to_owned(), of_table(table));
    for key in table.iter() {
        if let Some(inner) = key.kind.table()
            && !tables.contains_key(inner.name)
        {
            define(tables, inner);
        }
    }
}

fn of_table(table: &TableKeys) -> Value {
    let properties: Map<_, _> = table
        .iter()
        .map(|key| (key.name.to_owned(), of_key(key)))
        .collect();
    let mut rules: Vec<_> = table.one_of.iter().map(|keys| any_of(keys)).collect();
    rules.extend(
        table
            .exclusive
            .iter()
            .map(|keys| json!({"not": {"required": keys}})),
    );
    rules.extend(table.iter().filter_map(|key| {
        let Kind::SecretOrName(other) = key.kind else {
            return None;
        };
        let alone = json!({"required": [key.name], "not": {"required": [other]}});
        Some(json!({"if": alone, "then": {"properties": {key.name: pattern(SECRET)}}}))
    }));
    rules.extend(table.conditions.iter().map(|condition| {
        let (key, word) = (condition.key, condition.word);
        let value = match word.ends_with(':') {
            true => pattern(&format!("^{word}.")),
            false => json!({"const": word}),
        };
        let then = json!({"required": [key], "properties": {key: value}});
        json!({"if": {"required": condition.keys}, "then": then})
    }));
    rules.extend(
        table
            .variants
            .iter()
            .map(|variant| of_variant(table, variant)),
    );
    let needs = table
        .iter()
        .filter_map(|key| Some((key.name.to_owned(), json!([key.needs?]))));
    let needs: Map<_, _> = needs.collect();
    let mut schema = json!({
        "type": "object",
        "description": table.doc,
        "properties": properties,
        "additionalProperties": false,
    });
    for (word, value) in [
        ("required", json!(table.required)),
        ("allOf", Value::Array(rules)),
        ("dependentRequired", Value::Object(needs)),
    ] {
        let is_empty = value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(Map::is_empty);
        if !is_empty {
            schema[word] = value;
        }
    }
    schema
}

/// What holds for the tables of one variant.
fn of_variant(table: &TableKeys, variant: &Variant) -> Value {
    let keys = table.iter().filter(|key| key.is_of(variant.name));
    let keys: Vec<_> = keys.map(|key| key.name).collect();
    let mut condition = json!({"required": [variant.key]});
    if let Some(word) = variant.word {
        condition["properties"] = json!({variant.key: {"const": word}});
    } else if !variant.except.is_empty() {
        condition["properties"] = json!({variant.key: {"not": {"enum": variant.except}}});
    }
    let mut then = json!({"propertyNames": {"enum": keys}});
    if !variant.required.is_empty() {
        then["required"] = json!(variant.required);
    }
    let groups: Vec<_> = variant.one_of.iter().map(|keys| any_of(keys)).collect();
    if !groups.is_empty() {
        then["allOf"] = Value::Array(groups);
    }
    json!({"if": condition, "then": then})
}

/// At least one of these keys is there.
fn any_of(keys: &[&str]) -> Value {
    let each: Vec<_> = keys.iter().map(|key| json!({"required": [key]})).collect();
    json!({"anyOf": each})
}

fn of_key(key: &Key) -> Value {
    let mut schema = of_kind(key.kind);
    let default = key.default;
    schema["description"] = match default {
        "" => json!(key.doc),
        _ => json!(format!("{}; default: {default}", key.doc)),
    };
    // Only a number is the default's value itself. A text may be a description of it.
    if let Ok(number @ Value::Number(_)) = serde_json::from_str(default) {
        schema["default"] = number;
    }
    schema
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({"type": "string", "minLength": 1}),
        Kind::Texts => one_or_more(&json!({"type": "string", "minLength": 1})),
        Kind::Plain(form) => pattern(form),
        Kind::Plains(form) => one_or_more(&pattern(form)),
        // A token (RFC 9110 §5.6.2).
        Kind::Name => pattern("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"),
        Kind::Word(words) => json!({"enum": words()}),
        Kind::Url => pattern(URL),
        Kind::LoopbackUrl => pattern(LOOPBACK_URL),
        Kind::Origin => pattern(ORIGIN),
        Kind::Pointer => pattern("^/([^~]|~[01])*$"),
        Kind::Origins => one_or_more(&pattern(ORIGIN)),
        Kind::Path => pattern(PATH),
        Kind::Seconds => json!({"type": "number", "exclusiveMinimum": 0, "maximum": 31_536_000}),
        Kind::Number(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Statuses => one_or_more(&json!({"type": "integer", "minimum": 400, "maximum": 599})),
        Kind::Secret => pattern(SECRET),
        Kind::SecretOrName(_) => json!({"anyOf": [pattern(SECRET), pattern("^[^:]+$")]}),
        Kind::Secrets => json!({"anyOf": [
            pattern(SECRET),
            {"type": "array", "items": pattern(SECRET), "minItems": 1},
        ]}),
        Kind::TextsByName => {
            json!({"type": "object", "additionalProperties": {"type": "string", "minLength": 1}})
        }
        Kind::SecretsByName => {
            json!({"type": "object", "additionalProperties": pattern(SECRET)})
        }
        Kind::Table(table) => reference(table),
        Kind::TablesByName(table) => json!({
            "type": "object",
            "propertyNames": {"pattern": "^[0-9A-Za-z._-]+$"},
            "additionalProperties": reference(table),
        }),
        Kind::PathOrTable(table) => json!({"anyOf": [pattern(PATH), reference(table)]}),
        Kind::Id => json!({"type": ["string", "integer"], "minLength": 1}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Json => json!({"type": "object"}),
        Kind::Source(words) => json!({"anyOf": [pattern(TOKEN), {"enum": words()}]}),
        Kind::Token => json!({"$ref": format!("#/$defs/{TOKEN_PLACE}")}),
        Kind::TextOrTable(table) => text_or(table),
        Kind::TextsOrTablesByName(table) => {
            json!({"type": "object", "additionalProperties": text_or(table)})
        }
        Kind::WordOrTable(words, table) => {
            json!({"anyOf": [{"enum": words()}, reference(table)]})
        }
    }
}

fn pattern(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

fn one_or_more(item: &Value) -> Value {
    json!({"anyOf": [item, {"type": "array", "items": item}]})
}

fn text_or(table: &TableKeys) -> Value {
    let text = json!({"type": "string", "minLength": 1, "not": {"pattern": REFERENCE}});
    json!({"anyOf": [text, pattern(TOKEN), reference(table)]})
}

fn reference(table: &TableKeys) -> Value {
    json!({"$ref": format!("#/$defs/{}", table.name)})
}

impl Kind {
    /// The table that a value of this kind is or may be.
    fn table(self) -> Option<&'static TableKeys> {
        match self {
            Self::Table(table)
            | Self::TablesByName(table)
            | Self::PathOrTable(table)
            | Self::TextOrTable(table)
            | Self::TextsOrTablesByName(table)
            | Self::WordOrTable(_, table) => Some(table),
            _ => None,
        }
    }
}

const URL: &str = "^[Hh][Tt][Tt][Pp][Ss]?://[^/]";
const LOOPBACK_URL: &str = "^http://(127\\.[0-9.]+|\\[::1\\]|localhost)(:[0-9]+)?(/|$)";
const ORIGIN: &str = "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]+/?$";
const PATH: &str = "^(/|~/|[A-Za-z]:[/\\\\])";
const SECRET: &str =
    "^(env:[A-Za-z_][A-Za-z0-9_]*$|file:(/|~/|[A-Za-z]:[/\\\\])|command:.|keyring:.+/.)";
const TOKEN: &str = "^(env:[A-Za-z_][A-Za-z0-9_]*$|file:(/|~/|[A-Za-z]:[/\\\\])|command:.|keyring:.+/.|profile:[0-9A-Za-z._-]+$)";

/// How a text begins that is meant as a reference.
const REFERENCE: &str = "^(env|file|command|keyring|profile):";

/// The name of what a place for a token may hold.
const TOKEN_PLACE: &str = "token_place";
