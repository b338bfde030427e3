//! What the help and the manual page of a command have below its options: examples, exit codes, variables, files and related pages.

use std::fmt::Write;

use crate::output::exit_code::table;

/// A section of the help and of the manual page.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) text: String,
}

/// Adds the sections to the help of a command and of all that are below it. `path` is the words of the command, such as
/// `profile check`; empty for keyfob itself.
pub(crate) fn with_sections(command: clap::Command, path: &str) -> clap::Command {
    let mut help = String::new();
    if let Some(more) = command.get_after_help() {
        // The sections would replace it.
        help = format!("{more}\n");
    }
    for Section { title, text } in sections(path) {
        _ = write!(help, "{title}:\n{text}\n");
    }
    let command = command.after_long_help(help.trim_end().to_owned());
    command.mut_subcommands(|below| {
        let name = below.get_name().to_owned();
        with_sections(below, format!("{path} {name}").trim_start())
    })
}

/// The sections of a command, each of whose lines ends with a line break.
pub(crate) fn sections(path: &str) -> [Section; 5] {
    let section = |title, text| Section { title, text };
    [
        section("Examples", examples_text(path)),
        section("Exit codes", table()),
        section("Environment", columns(ENVIRONMENT)),
        section("Files", columns(FILES)),
        section("See also", see_also(path)),
    ]
}

fn examples_text(path: &str) -> String {
    examples(path)
        .iter()
        .fold(String::new(), |mut text, (purpose, line)| {
            _ = write!(text, "  # {purpose}\n  {line}\n");
            text
        })
}

/// The examples of a command, or else those of the command above it.
fn examples(path: &str) -> &'static [(&'static str, &'static str)] {
    let own = EXAMPLES.iter().find(|(of, _)| *of == path);
    match (own, path.rsplit_once(' ')) {
        (Some((_, examples)), _) => examples,
        (None, Some((above, _))) => examples(above),
        (None, None) => &[],
    }
}

fn see_also(path: &str) -> String {
    let above = path.rsplit_once(' ').map(|(above, _)| above);
    let above = above.map(|above| format!("keyfob-{}(1), ", above.replace(' ', "-")));
    let of_others = OTHER_PAGES.iter().find(|(of, _)| *of == path);
    let of_others = of_others.map_or("keyfob(1)", |(_, pages)| pages);
    format!("  {}{of_others}\n", above.unwrap_or_default())
}

fn columns(rows: &[(&str, &str)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter()
        .fold(String::new(), |mut text, (name, meaning)| {
            _ = writeln!(text, "  {name:width$}  {meaning}");
            text
        })
}

/// For each command, what a person may want to do, and how.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "",
        &[
            ("See in ten seconds what keyfob is for", "keyfob demo"),
            (
                "Sign in to an API, and send it a request",
                "keyfob login https://api.example.com",
            ),
            (
                "Send a request with the token of a profile",
                "keyfob request --profile work items",
            ),
            (
                "Run a program with a token in its environment",
                "keyfob run --profile work -- terraform plan",
            ),
        ],
    ),
    (
        "request",
        &[
            (
                "Get a page with the token of a profile; the URL is relative to its base_url",
                "keyfob request --profile work items --query year=2026",
            ),
            (
                "Send JSON, and fail if the status is 400 or more",
                "keyfob request --fail --json '{\"name\": \"a\"}' https://api.example.com/items",
            ),
            (
                "Download a file, with a token that a command prints",
                "keyfob request --token-command 'gh auth token' --output log.zip https://api.example.com/log",
            ),
        ],
    ),
    (
        "token",
        &[
            ("Print the token of a profile", "keyfob token work"),
            (
                "Print one that stays valid for ten minutes",
                "keyfob token work --min-valid 600",
            ),
            (
                "Print one that the server has not rejected; the rejected one is on standard input",
                "keyfob token work --rejected -",
            ),
        ],
    ),
    (
        "helper",
        &[
            (
                "Give a token to curl, which sends nothing if there is none",
                "keyfob helper curl https://api.example.com/items | curl --config -",
            ),
            (
                "Write the configuration with which git asks keyfob",
                "keyfob helper setup git --profile work --write",
            ),
            ("Print it instead", "keyfob helper setup git --profile work"),
        ],
    ),
    (
        "profile",
        &[
            (
                "Print the profiles, and where their tokens come from",
                "keyfob profile list",
            ),
            (
                "Add one, and be asked for what it needs",
                "keyfob profile add work",
            ),
            ("Check that it works", "keyfob profile check work"),
            (
                "Let editors complete keyfob.toml",
                "keyfob profile schema > keyfob.schema.json",
            ),
        ],
    ),
    (
        "login",
        &[
            (
                "Sign in to a profile, with a browser or a code",
                "keyfob login work",
            ),
            (
                "Sign in to an API that says where its tokens are issued",
                "keyfob login https://api.example.com",
            ),
            (
                "Sign in one of several users",
                "keyfob login work --subject alice",
            ),
        ],
    ),
    (
        "logout",
        &[(
            "Revoke the tokens of a profile, and forget them",
            "keyfob logout work",
        )],
    ),
    (
        "status",
        &[
            (
                "Print which tokens are stored, and until when they are valid",
                "keyfob status",
            ),
            ("The same for a script", "keyfob status --json"),
        ],
    ),
    (
        "forget",
        &[
            (
                "Forget the token of a profile, but do not revoke it",
                "keyfob forget work",
            ),
            ("Forget all tokens", "keyfob forget --all"),
        ],
    ),
    (
        "store",
        &[
            ("Check the store of a profile", "keyfob store check work"),
            (
                "Seal its entries with the first of its keys",
                "keyfob store rotate-key work",
            ),
            (
                "Copy what it holds into a sealed file, and back",
                "keyfob store export work --file tokens.sealed --sealing-key key",
            ),
            (
                "Move the tokens of one profile's store to another's",
                "keyfob store migrate old new",
            ),
            (
                "Create the table of a store in PostgreSQL",
                "keyfob store sql | psql --set ON_ERROR_STOP=1",
            ),
        ],
    ),
    (
        "run",
        &[
            (
                "Run a program with the token in the variables that the profile names",
                "keyfob run --profile work -- terraform plan",
            ),
            (
                "Name the variable here",
                "keyfob run --env API_TOKEN=work -- ./deploy.sh",
            ),
            (
                "Let the program see no token: a proxy puts it on its requests",
                "keyfob run --proxy --profile work -- npm ci",
            ),
        ],
    ),
    (
        "proxy",
        &[
            (
                "Put the token of a profile on requests to a port of this machine",
                "keyfob proxy work --listen 127.0.0.1:8080",
            ),
            ("Serve all routes of keyfob.toml", "keyfob proxy"),
        ],
    ),
    (
        "demo",
        &[("Compare keyfob with a client without it", "keyfob demo")],
    ),
    (
        "completions",
        &[
            (
                "For bash",
                "keyfob completions bash > ~/.local/share/bash-completion/completions/keyfob",
            ),
            (
                "For fish",
                "keyfob completions fish > ~/.config/fish/completions/keyfob.fish",
            ),
        ],
    ),
    (
        "man",
        &[
            (
                "Read the page of a command",
                "keyfob man request | man -l -",
            ),
            (
                "Write all pages where man(1) finds them",
                "keyfob man --directory ~/.local/share/man/man1",
            ),
        ],
    ),
];

/// The pages to read after that of a command, if they are more than that of keyfob.
const OTHER_PAGES: &[(&str, &str)] = &[
    (
        "",
        "keyfob-request(1), keyfob-token(1), keyfob-login(1), keyfob-profile(1), keyfob-run(1), keyfob-proxy(1), keyfob-helper(1)",
    ),
    (
        "request",
        "keyfob(1), keyfob-token(1), keyfob-helper-curl(1), curl(1)",
    ),
    ("token", "keyfob(1), keyfob-helper(1), keyfob-status(1)"),
    (
        "helper",
        "keyfob(1), keyfob-helper-setup(1), gitcredentials(7)",
    ),
    ("profile", "keyfob(1), keyfob-login(1)"),
    ("login", "keyfob(1), keyfob-logout(1), keyfob-status(1)"),
    ("logout", "keyfob(1), keyfob-forget(1)"),
    ("status", "keyfob(1), keyfob-forget(1)"),
    ("forget", "keyfob(1), keyfob-logout(1)"),
    ("run", "keyfob(1), keyfob-proxy(1)"),
    ("proxy", "keyfob(1), keyfob-run(1), systemd.socket(5)"),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "KEYFOB_CONFIG",
        "the file with the profiles, unless --config names one",
    ),
    (
        "KEYFOB_TOKEN",
        "a token, unless an option or a profile gives one",
    ),
    ("KEYFOB_TOKEN_COMMAND", "a command that prints a token"),
    ("KEYFOB_TOKEN_FILE", "a file with a token"),
    (
        "KEYFOB_CLIENT_METADATA_URL",
        "login: the URL of a client id metadata document",
    ),
    (
        "SSL_CERT_FILE",
        "the certificate authorities to trust (PEM), unless --cacert names a file",
    ),
    (
        "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY",
        "the proxy for requests; never used for plain http to this machine",
    ),
    ("NO_PROXY", "the servers that are reached without it"),
    (
        "XDG_CONFIG_HOME",
        "the directory of keyfob/keyfob.toml, in place of ~/.config",
    ),
    (
        "XDG_STATE_HOME",
        "the directory of the stored tokens, in place of ~/.local/state",
    ),
];

const FILES: &[(&str, &str)] = &[
    ("~/.config/keyfob/keyfob.toml", "the profiles"),
    (
        "~/.local/state/keyfob/",
        "the stored tokens, unless a profile names another store",
    ),
];

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, command_line};

    #[test]
    fn each_command_has_examples_and_each_example_can_be_run() {
        let mut commands: Vec<_> = command_line()
            .get_subcommands()
            .map(|command| command.get_name().to_owned())
            .collect();
        commands.push(String::new());
        for path in &commands {
            assert!(!examples(path).is_empty(), "{path}");
        }
        for (path, examples) in EXAMPLES {
            let first = path.split(' ').next().unwrap_or_default();
            assert!(commands.iter().any(|known| known == first), "{path}");
            for (_, line) in *examples {
                // The shell starts curl also if there is no token.
                assert!(
                    !(line.contains("keyfob token") && line.contains("| curl")),
                    "{line}"
                );
                let line = line
                    .split([' ', '\n'])
                    .take_while(|word| !["|", ">"].contains(word));
                let line = line.collect::<Vec<_>>().join(" ");
                let words = shell_words::split(&line).unwrap();
                let parsed = Cli::try_parse_from(words);
                assert!(parsed.is_ok(), "{line}: {:?}", parsed.err());
            }
        }
        assert_eq!(examples_text("store check"), examples_text("store"));
    }

    #[test]
    fn the_pages_that_are_named_exist() {
        let ours = |page: &str| page.trim().strip_suffix("(1)").map(str::to_owned);
        for (_, pages) in OTHER_PAGES {
            for page in pages.split(',').filter_map(ours) {
                let Some(path) = page.strip_prefix("keyfob-") else {
                    continue;
                };
                let mut command = command_line();
                for name in path.split('-') {
                    command = command.find_subcommand(name).expect(path).clone();
                }
            }
        }
        assert_eq!(
            see_also("profile check"),
            "  keyfob-profile(1), keyfob(1)\n"
        );
    }
}
