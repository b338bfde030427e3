//! The schema and the reader agree about which files are valid, and the documentation about which keys there are.

use boon::{Compiler, SchemaIndex, Schemas};
use toml::de::{DeTable, DeValue};

use super::*;
use crate::profile::schema::{PROFILE, proxy, read, route_subject, store, token};

struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let schema = serde_json::from_str(&Profiles::json_schema()).unwrap();
        compiler.add_resource("keyfob.json", schema).unwrap();
        let index = compiler.compile("keyfob.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn accepts(&self, file: &Value) -> Result<(), String> {
        let outcome = self.schemas.validate(file, self.index);
        outcome.map_err(|error| format!("{error:#}"))
    }

    /// Asserts that both accept this file, or that both refuse it.
    #[track_caller]
    fn agrees(&self, file: &Value) -> bool {
        let text = toml(file);
        let (reader, schema) = (read(&text, "file"), self.accepts(file));
        assert!(
            reader.is_ok() == schema.is_ok(),
            "reader: {:?}\nschema: {schema:?}\n{text}",
            reader.map(drop)
        );
        schema.is_ok()
    }
}

fn toml(file: &Value) -> String {
    let tables = file.as_object().unwrap().iter();
    tables
        .map(|(key, value)| format!("{key} = {}\n", inline(value)))
        .collect()
}

fn inline(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let pairs: Vec<_> = table
                .iter()
                .map(|(key, value)| format!("{key:?} = {}", inline(value)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

fn json_of(text: &str) -> Value {
    fn value(found: &DeValue<'_>) -> Value {
        match found {
            DeValue::String(text) => json!(text),
            DeValue::Integer(number) => number.as_str().parse::<i64>().unwrap().into(),
            DeValue::Float(number) => number.as_str().parse::<f64>().unwrap().into(),
            DeValue::Boolean(flag) => json!(flag),
            DeValue::Datetime(time) => json!(time.to_string()),
            DeValue::Array(items) => items.iter().map(|item| value(item.get_ref())).collect(),
            DeValue::Table(entries) => table(entries),
        }
    }
    fn table(entries: &DeTable<'_>) -> Value {
        let entries = entries.iter();
        let entries =
            entries.map(|(key, inner)| (key.get_ref().to_string(), value(inner.get_ref())));
        Value::Object(entries.collect())
    }
    table(DeTable::parse(text).unwrap().get_ref())
}

/// A valid value of each kind.
fn example(key: &Key) -> Value {
    match key.kind {
        Kind::Plain(_) | Kind::Plains(_) => match key.name {
            "listen" | "status_listen" => json!("127.0.0.1:0"),
            "methods" => json!("GET"),
            "paths" | "access_log" => json!("/path"),
            _ => json!("word"),
        },
        Kind::Text | Kind::Texts | Kind::Name => json!("word"),
        Kind::Word(words) => json!(words()[0]),
        Kind::LoopbackUrl => json!("http://127.0.0.1/callback"),
        Kind::Url | Kind::Origin | Kind::Origins => json!("https://a.example"),
        Kind::Path | Kind::PathOrTable(_) => json!("/path"),
        Kind::Seconds => json!(1.5),
        Kind::Number(least, _) => json!(least),
        Kind::Statuses => json!(404),
        Kind::Secret
        | Kind::SecretOrName(_)
        | Kind::Secrets
        | Kind::Token
        | Kind::Source(_)
        | Kind::TextOrTable(_) => {
            json!("env:SECRET")
        }
        Kind::TextsByName => json!({"tenant": "north"}),
        Kind::Pointer => json!("/token"),
        Kind::Id => json!(7),
        Kind::Flag => json!(true),
        Kind::Json | Kind::TextsOrTablesByName(_) => json!({"name": "word"}),
        Kind::SecretsByName => json!({"pin": "env:PIN"}),
        Kind::Table(_) | Kind::TablesByName(_) => json!({}),
        Kind::WordOrTable(words, _) => json!(words()[0]),
    }
}

fn with(table: &Value, key: &Key) -> Value {
    let mut table = table.clone();
    table[key.name] = example(key);
    table
}

/// The smallest tables of each variant: one for each choice among keys of which one is required.
fn smallest(keys: &TableKeys) -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    for variant in keys.variants {
        let key = |name: &str| keys.get(name).unwrap();
        let mut table = with(&json!({}), key(variant.key));
        if let Some(word) = variant.word {
            table[variant.key] = json!(word);
        }
        for name in variant.required {
            table = with(&table, key(name));
        }
        let mut tables = vec![table];
        for group in variant.one_of {
            let choices = tables
                .iter()
                .flat_map(|table| group.iter().map(|name| with(table, key(name))));
            tables = choices.collect();
        }
        all.extend(tables.into_iter().map(|table| (variant.name, table)));
    }
    all
}

/// A file with this table of a token, a store or a proxy.
fn file(keys: &TableKeys, table: &Value) -> Value {
    let mut profile = json!({"base_url": "https://a.example", "token": "env:TOKEN"});
    // A route names a profile and its clients, and there are these.
    let profiles = json!({"a": profile, "word": profile, "file": profile, "x": profile});
    let clients = json!({"word": "env:A", "file": "env:B", "tenant": "env:C", "x": "env:D"});
    match keys.name {
        "proxy" => return json!({"profiles": profiles, "proxy": table}),
        "proxy_route" => {
            return json!({"profiles": profiles, "proxy": {"clients": clients, "routes": {"a": table}}});
        }
        "proxy_route_pool" => {
            let route = json!({"subjects": {"x": "word"}, "pool": table});
            return json!({"profiles": profiles, "proxy": {"clients": clients, "routes": {"a": route}}});
        }
        "proxy_limits" => return json!({"profiles": profiles, "proxy": {"limits": table}}),
        _ => {}
    }
    match keys.name {
        "profile" => profile = table.clone(),
        name => profile[name] = table.clone(),
    }
    json!({"profiles": {"a": profile}})
}

/// Each table with keys of its own, in its smallest forms.
fn tables() -> Vec<(&'static TableKeys, &'static str, Value)> {
    let mut all = vec![(
        &PROFILE,
        "",
        json!({"base_url": "https://a.example", "token": "env:TOKEN"}),
    )];
    let retry = PROFILE.get("retry").unwrap().kind.table().unwrap();
    all.push((retry, "", json!({})));
    let certificate = PROFILE.get("client_certificate").unwrap().kind.table();
    all.push((certificate.unwrap(), "", json!({"certificate": "/path"})));
    for keys in [
        &proxy::KEYS,
        &proxy::ROUTE,
        &proxy::LIMITS,
        &route_subject::POOL,
    ] {
        all.push((keys, "", json!({})));
    }
    for keys in [&token::KEYS, &store::KEYS] {
        all.extend(
            smallest(keys)
                .into_iter()
                .map(|(variant, table)| (keys, variant, table)),
        );
    }
    all
}

#[test]
fn the_schema_accepts_the_keys_that_the_reader_accepts_and_no_others() {
    let validator = Validator::new();
    for (keys, variant, table) in tables() {
        assert!(validator.agrees(&file(keys, &table)), "{variant}: {table}");
        let mut accepted = 0;
        for key in keys.iter().filter(|key| table.get(key.name).is_none()) {
            let mut with_key = with(&table, key);
            if let Some(needed) = key.needs.filter(|needed| table.get(needed).is_none()) {
                with_key = with(&with_key, keys.get(needed).unwrap());
            }
            accepted += u32::from(validator.agrees(&file(keys, &with_key)));
        }
        let is_memory = variant == "memory";
        assert!(accepted > 0 || is_memory, "{variant}: {table}");
        for unknown in ["unknown", "client-id", "Token"] {
            let mut with_unknown = table.clone();
            with_unknown[unknown] = json!("env:X");
            assert!(
                !validator.agrees(&file(keys, &with_unknown)),
                "{variant} {unknown}"
            );
        }
    }
}

#[test]
fn the_schema_requires_the_keys_that_the_reader_requires() {
    let validator = Validator::new();
    for (keys, variant, table) in tables() {
        for name in table.as_object().unwrap().keys() {
            let mut without = table.clone();
            without.as_object_mut().unwrap().remove(name);
            // The FHIR server is the profile's base URL, and a client needs no secret.
            assert!(
                !validator.agrees(&file(keys, &without)),
                "{variant}: {without}"
            );
        }
    }
}

#[test]
fn the_schema_and_the_reader_agree_about_the_kind_of_each_value() {
    let validator = Validator::new();
    let values = json!([
        true, 0, 7, 404, 404.5, -1, "", "word", "two words", "~/x", "/x", "env:X", "env:1", "file:x", "file:/x", "s3cret:x",
        "command:", "keyring:a", "keyring:a/b", "https://b.example", "https://b.example/x", "ftp://b.example", "file",
        [], ["word"], [404], ["env:X", "env:Y"], [true], [["word"]], {}, {"x": "y"}, {"x": 1}, {"x": "env:X"}, {"x": {}},
    ]);
    for (keys, _, table) in tables() {
        for key in keys.iter() {
            let base = match table.get(key.name) {
                Some(_) => table.clone(),
                None => with(&table, key),
            };
            let mut base = base;
            if let Some(needed) = key.needs.filter(|needed| base.get(needed).is_none()) {
                base = with(&base, keys.get(needed).unwrap());
            }
            if !validator.agrees(&file(keys, &base)) {
                continue;
            }
            for value in values.as_array().unwrap() {
                base[key.name] = value.clone();
                validator.agrees(&file(keys, &base));
            }
        }
    }
}

#[cfg(keyfob_repository)]
#[test]
fn every_documented_example_is_valid() {
    let validator = Validator::new();
    let pages = [
        include_str!("../../../../../docs/tutorial/README.md"),
        include_str!("../../../../../docs/reference/profiles.md"),
        include_str!("../../../../../docs/how-to/platforms.md"),
        include_str!("../../../../../docs/how-to/login.md"),
        include_str!("../../../../../docs/how-to/dpop.md"),
        include_str!("../../../../../docs/reference/oauth.md"),
        include_str!("../../../../../docs/how-to/many-machines.md"),
        include_str!("../../../../../docs/reference/sources.md"),
        include_str!("../profile.rs"),
        include_str!("../source.rs"),
        include_str!("../mod.rs"),
    ];
    let mut examples = 0;
    for page in pages {
        let fenced = page
            .split("```toml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next());
        let quoted = page
            .split("from_text(r#\"")
            .skip(1)
            .filter_map(|rest| rest.split("\"#").next());
        for text in fenced
            .chain(quoted)
            .filter(|text| text.contains("[profiles"))
        {
            let lines = text
                .lines()
                .map(|line| line.trim_start().trim_start_matches("///"));
            let text = lines.collect::<Vec<_>>().join("\n");
            examples += 1;
            let outcome = validator.accepts(&json_of(&text));
            assert!(outcome.is_ok(), "{outcome:?}\n{text}");
        }
    }
    assert!(examples > 8, "{examples}");
}

#[cfg(keyfob_repository)]
#[test]
fn the_copy_in_the_documentation_is_the_schema() {
    let copy = include_str!("../../../../../docs/keyfob.schema.json");
    assert!(
        copy == Profiles::json_schema(),
        "run `cargo run -p keyfob-cli -- profile schema > docs/keyfob.schema.json`"
    );
}

#[cfg(keyfob_repository)]
#[test]
fn the_tables_in_the_documentation_have_all_keys_and_their_defaults() {
    let page = include_str!("../../../../../docs/reference/profiles.md");
    let plain = |text: &str| text.replace('`', "").trim().to_owned();
    let rows: Vec<Vec<String>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(plain).collect())
        .collect();
    let helper = token::KEYS.get("helper").unwrap().kind.table().unwrap();
    let declared = tables().into_iter().flat_map(|(keys, ..)| keys.iter());
    let declared: Vec<_> = declared.chain(helper.iter()).collect();
    for key in &declared {
        let named = || rows.iter().filter(|row| row[0] == key.name);
        // Several tables may have a key of one name: the row of this one says its default.
        let says_default = |row: &&Vec<String>| row.last().unwrap().contains(key.default);
        let row = named().find(says_default).or(named().next());
        assert!(
            row.is_some() || page.contains(&format!("`{}`", key.name)),
            "{}",
            key.name
        );
        let grants = token::KEYS.variants.iter().map(|variant| variant.name);
        let row = row.filter(|row| !grants.clone().any(|grant| grant == row[0]));
        if let Some([_, _, default]) = row.map(Vec::as_slice) {
            let is_same = match key.default {
                "" => [
                    "",
                    "required",
                    "required for redis and postgres",
                    "as below",
                ]
                .contains(&default.as_str()),
                declared => default.starts_with(declared),
            };
            assert!(
                is_same,
                "`{}`: {default:?} in the page, {:?} declared",
                key.name, key.default
            );
        }
    }
    let of_keys = page.split("## Keys of a profile").nth(1).unwrap();
    for row in rows
        .iter()
        .filter(|row| row.len() == 3 && of_keys.contains(&format!("| `{}` |", row[0])))
    {
        let is_grant = token::KEYS
            .variants
            .iter()
            .any(|variant| variant.name == row[0]);
        let is_key = declared.iter().any(|key| key.name == row[0]);
        assert!(is_grant || is_key, "`{}` is documented, and no key", row[0]);
    }
}
