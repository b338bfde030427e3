//! What a key of the profile file is: its name, what its value may be, what it means, and with which other keys it goes.
//!
//! Each reader of a table declares its keys next to itself. From the same declarations come the messages about unknown keys, the JSON
//! Schema of the file, the comments in a profile that keyfob writes, and the check of the tables in docs/reference/profiles.md.

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What it means, in one sentence without a full stop.
    pub(crate) doc: &'static str,
    /// What holds without it, as docs/reference/profiles.md puts it; empty if there is no default.
    pub(crate) default: &'static str,
    /// The [variants](Variant) of the table that have it; all of them if there are none.
    pub(crate) variants: &'static [&'static str],
    /// The key that it goes with, if it goes with one only.
    pub(crate) needs: Option<&'static str>,
}

/// What the value of a key may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    Texts,
    /// Text with this pattern.
    Plain(&'static str),
    /// The same, or a list of them.
    Plains(&'static str),
    /// A name of a header or a scheme.
    Name,
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    Url,
    /// Plain http to this machine.
    LoopbackUrl,
    Origin,
    Origins,
    /// A JSON pointer (RFC 6901).
    Pointer,
    Path,
    Seconds,
    Number(u32, u32),
    Statuses,
    Secret,
    /// A text or a whole number.
    Id,
    Flag,
    /// A JSON object.
    Json,
    /// A reference to a token, or one of these words.
    Source(fn() -> Vec<&'static str>),
    /// A reference to a secret or a profile, or a table with the settings of a token.
    Token,
    /// A text, a reference, or a table of this kind.
    TextOrTable(&'static TableKeys),
    /// The same under names that the user chooses.
    TextsOrTablesByName(&'static TableKeys),
    /// A reference to a secret, or a name if this other key is there.
    SecretOrName(&'static str),
    Secrets,
    /// A table of texts under names that the user chooses.
    TextsByName,
    SecretsByName,
    Table(&'static TableKeys),
    /// Tables of this kind under names that the user chooses.
    TablesByName(&'static TableKeys),
    PathOrTable(&'static TableKeys),
    WordOrTable(fn() -> Vec<&'static str>, &'static TableKeys),
}

/// The keys of a table.
#[derive(Debug)]
pub(crate) struct TableKeys {
    /// Its name in the JSON Schema.
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [&'static [Key]],
    /// Its further keys, which follow those that it shares with other tables.
    pub(crate) own: &'static [Key],
    /// Its required keys, whatever the variant.
    pub(crate) required: &'static [&'static str],
    /// Groups of keys of which at least one is required.
    pub(crate) one_of: &'static [&'static [&'static str]],
    /// Pairs of keys that exclude each other.
    pub(crate) exclusive: &'static [[&'static str; 2]],
    /// Keys that go together only if another key has this value.
    pub(crate) conditions: &'static [Condition],
    pub(crate) variants: &'static [Variant],
}

/// All these keys in one table demand another key with this word as its value, or as its beginning if the word ends with a colon.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) keys: &'static [&'static str],
    pub(crate) key: &'static str,
    pub(crate) word: &'static str,
}

/// A table with this key, or with this word as its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    pub(crate) word: Option<&'static str>,
    /// Words with which it is another variant.
    pub(crate) except: &'static [&'static str],
    pub(crate) required: &'static [&'static str],
    /// Groups of keys of which at least one is required.
    pub(crate) one_of: &'static [&'static [&'static str]],
}

impl Key {
    pub(crate) const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            doc,
            default: "",
            variants: &[],
            needs: None,
        }
    }

    pub(crate) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    pub(crate) const fn only(mut self, variants: &'static [&'static str]) -> Self {
        self.variants = variants;
        self
    }

    pub(crate) const fn needs(mut self, key: &'static str) -> Self {
        self.needs = Some(key);
        self
    }

    pub(crate) fn is_of(&self, variant: &str) -> bool {
        self.variants.is_empty() || self.variants.contains(&variant)
    }
}

impl TableKeys {
    pub(crate) const fn new(
        name: &'static str,
        doc: &'static str,
        keys: &'static [&'static [Key]],
    ) -> Self {
        Self {
            name,
            doc,
            keys,
            own: &[],
            required: &[],
            one_of: &[],
            exclusive: &[],
            conditions: &[],
            variants: &[],
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.keys.iter().copied().flatten().chain(self.own)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'static Key> {
        self.iter().find(|key| key.name == name)
    }
}

impl Variant {
    /// Tables that have this key.
    pub(crate) const fn with_key(name: &'static str) -> Self {
        Self {
            name,
            key: name,
            word: None,
            except: &[],
            required: &[],
            one_of: &[],
        }
    }

    /// Tables whose key has this word as its value, and which require these keys.
    pub(crate) const fn with_word(
        key: &'static str,
        word: &'static str,
        required: &'static [&'static str],
    ) -> Self {
        Self {
            name: word,
            key,
            word: Some(word),
            except: &[],
            required,
            one_of: &[],
        }
    }

    pub(crate) const fn except(mut self, words: &'static [&'static str]) -> Self {
        self.except = words;
        self
    }

    pub(crate) const fn one_of(mut self, groups: &'static [&'static [&'static str]]) -> Self {
        self.one_of = groups;
        self
    }
}

/// The words of a list that names values.
pub(crate) fn words<T>(names: &[(&'static str, T)]) -> Vec<&'static str> {
    names.iter().map(|(word, _)| *word).collect()
}
