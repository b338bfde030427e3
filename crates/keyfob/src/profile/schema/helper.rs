//! How a command that is a credential helper is asked: `helper`, in the table of a token.

use url::{Position, Url};

use crate::error::error::Error;
use crate::profile::key::{Condition, Key, Kind, TableKeys, words};
use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Read, Table, Value};
use crate::source::command::{CommandToken, HelperRequest};

/// Reads `helper` next to a source, and asks its command in that protocol.
pub(super) fn read(
    table: &Table<'_>,
    source: SecretRef,
    base_url: Option<&Url>,
) -> Read<SecretRef> {
    let Some(helper) = table.get("helper") else {
        return Ok(source);
    };
    let SecretRef::Command(command) = source else {
        return Err(helper.key_error(
            "`helper` says how a command is asked, and the source is none; write `command:` and the helper's program",
        ));
    };
    let settings = match helper.is_table() {
        true => helper.table(&HELPER, read_settings)?,
        false => Settings {
            protocol: read_protocol(&helper)?,
            ..Settings::default()
        },
    };
    let command = settings.apply(*command, base_url);
    let command = command.map_err(|problem| helper.error(format!("`helper`: {problem}")))?;
    Ok(SecretRef::Command(Box::new(command)))
}

#[derive(Default)]
struct Settings {
    protocol: Protocol,
    asked_for: Option<String>,
    with_path: bool,
    erase_rejected: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Protocol {
    #[default]
    Git,
    Bazel,
    Cargo,
    Docker,
    Google,
    Kubernetes,
    Pass,
    Terraform,
}

fn read_settings(table: &Table<'_>) -> Read<Settings> {
    let protocol = table.required("protocol", "in which the helper is asked", read_protocol);
    let asked_for = table.optional("for", Value::text);
    let with_path = table.optional("with_path", Value::flag);
    let erase_rejected = table.optional("erase_rejected", Value::flag);
    Ok(Settings {
        protocol: protocol?,
        asked_for,
        with_path: with_path.unwrap_or_default(),
        erase_rejected: erase_rejected.unwrap_or_default(),
    })
}

fn read_protocol(value: &Value<'_>) -> Read<Protocol> {
    value.one_of("protocol", PROTOCOLS)
}

impl Settings {
    fn apply(self, command: CommandToken, base_url: Option<&Url>) -> Result<CommandToken, Error> {
        let is_git = self.protocol == Protocol::Git;
        if self.with_path && !is_git {
            return Err(Error::input(
                "only git's protocol has a path; remove `with_path`",
            ));
        }
        let erase_rejected = self.erase_rejected;
        let command = command.request(self.request(base_url)?)?;
        match erase_rejected {
            true => command.erase_rejected(),
            false => Ok(command),
        }
    }

    fn request(self, base_url: Option<&Url>) -> Result<HelperRequest, Error> {
        let from_base = |part: fn(&Url) -> String| {
            let missing = || {
                Error::input(
                    "it is not said what the helper is asked for; set `for`, as in { protocol = \"docker\", for = \"registry.example.com\" }",
                )
            };
            let usual = || base_url.map(part).ok_or_else(missing);
            self.asked_for.clone().map_or_else(usual, Ok)
        };
        let whole = |url: &Url| url.as_str().to_owned();
        let authority = |url: &Url| url[Position::BeforeHost..Position::AfterPort].to_owned();
        Ok(match self.protocol {
            Protocol::Git => HelperRequest::Git {
                url: from_base(whole)?,
                with_path: self.with_path,
            },
            Protocol::Bazel => HelperRequest::Bazel {
                uri: from_base(whole)?,
            },
            Protocol::Cargo => HelperRequest::Cargo {
                index: from_base(|url| format!("sparse+{url}"))?,
            },
            Protocol::Docker => HelperRequest::Docker {
                server: from_base(authority)?,
            },
            Protocol::Kubernetes => HelperRequest::Kubernetes {
                server: from_base(whole)?,
            },
            Protocol::Terraform => HelperRequest::Terraform {
                host: from_base(authority)?,
            },
            Protocol::Google => HelperRequest::Google {
                audience: self.required("the audience of the workload identity pool")?,
            },
            Protocol::Pass => HelperRequest::Pass {
                entry: self.required("the name of an entry of `pass`")?,
            },
        })
    }

    fn required(&self, what: &str) -> Result<String, Error> {
        let missing = || Error::input(format!("`for` is missing; set it to {what}"));
        self.asked_for.clone().ok_or_else(missing)
    }
}

const PROTOCOLS: &[(&str, Protocol)] = &[
    ("bazel", Protocol::Bazel),
    ("cargo", Protocol::Cargo),
    ("docker", Protocol::Docker),
    ("git", Protocol::Git),
    ("google", Protocol::Google),
    ("kubernetes", Protocol::Kubernetes),
    ("pass", Protocol::Pass),
    ("terraform", Protocol::Terraform),
];

/// The names of the protocols.
pub(super) fn protocols() -> Vec<&'static str> {
    words(PROTOCOLS)
}

/// The table `helper`.
pub(super) static HELPER: TableKeys = TableKeys {
    required: &["protocol"],
    conditions: &[
        Condition {
            keys: &["with_path"],
            key: "protocol",
            word: "git",
        },
        Condition {
            keys: &["erase_rejected"],
            key: "protocol",
            word: "git",
        },
    ],
    ..TableKeys::new(
        "helper",
        "How a command that is a credential helper is asked",
        &[&[
            Key::new(
                "protocol",
                Kind::Word(protocols),
                "the protocol in which the helper is asked",
            ),
            Key::new(
                "for",
                Kind::Text,
                "what the helper is asked for: a URL, a server, a registry, a host, an audience or an entry",
            )
            .default("from base_url"),
            Key::new(
                "with_path",
                Kind::Flag,
                "whether a helper of git gets the path of the URL too",
            )
            .default("false"),
            Key::new(
                "erase_rejected",
                Kind::Flag,
                "whether a helper of git is told to remove a credential that the server has rejected",
            )
            .default("false"),
        ]],
    )
};
