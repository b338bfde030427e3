//! Options of curl that keyfob has under another name or does not have, with what to use instead.
//!
//! Options of curl that mean the same here are options of `keyfob request`.

use clap::Args;

/// Options of curl that ask for what keyfob does anyway.
#[derive(Args)]
pub(super) struct NeedlessOptions {
    /// Redirects are followed; see --max-redirects
    #[arg(short = 'L', long, hide = true)]
    location: bool,
    /// keyfob asks for no compression, so the body is the same
    #[arg(long, hide = true)]
    compressed: bool,
    /// Each piece of the response is printed as it arrives
    #[arg(short = 'N', long, hide = true)]
    no_buffer: bool,
    /// The progress is a bar
    #[arg(short = '#', long, hide = true)]
    progress_bar: bool,
}

/// What to do in place of an option of curl; `None` for other text. `argument` may have its value attached.
pub(crate) fn hint(argument: &str) -> Option<String> {
    let name = argument.split('=').next()?;
    let is_meant = |hint: &&Hint| match (name.strip_prefix("--"), name.strip_prefix('-')) {
        (Some(long), _) => hint.long == long,
        (None, Some(short)) => short.chars().next() == hint.short,
        (None, None) => false,
    };
    let hint = HINTS.iter().find(is_meant)?;
    let name = match name.strip_prefix("--") {
        Some(_) => format!("--{}", hint.long),
        None => format!("-{}", hint.short.unwrap_or_default()),
    };
    Some(format!("there is no {name} here: {}", hint.text))
}

struct Hint {
    short: Option<char>,
    long: &'static str,
    text: &'static str,
}

const fn hinted(short: char, long: &'static str, text: &'static str) -> Hint {
    let short = Some(short);
    Hint { short, long, text }
}

const fn long(long: &'static str, text: &'static str) -> Hint {
    Hint {
        short: None,
        long,
        text,
    }
}

const HINTS: &[Hint] = &[
    hinted(
        'u',
        "user",
        "every user of the machine can read the arguments of a process; put `user` and `password` into a profile",
    ),
    long(
        "oauth2-bearer",
        "every user of the machine can read the arguments of a process; use --token-env, --token-file, --token-command or a profile",
    ),
    hinted(
        'k',
        "insecure",
        "anyone between could read the token; name the file with the certificate of the authority: --cacert FILE, or `ca_file` in a profile",
    ),
    long(
        "location-trusted",
        "the token goes only to the servers that it is for; name more of them as `origins` in a profile",
    ),
    hinted(
        'x',
        "proxy",
        "set HTTPS_PROXY or HTTP_PROXY in the environment",
    ),
    hinted(
        'U',
        "proxy-user",
        "put the user and the password into the URL in HTTPS_PROXY",
    ),
    long("noproxy", "set NO_PROXY in the environment"),
    long("socks5", "set HTTPS_PROXY in the environment"),
    long(
        "connect-timeout",
        "a connection that is not made within 20 s fails; --timeout limits the whole command",
    ),
    long("url", "give the URL without an option"),
    long("url-query", "it is --query NAME=VALUE"),
    hinted(
        'n',
        "netrc",
        "the credential comes from a profile, --token-command, --token-env or --token-file",
    ),
    long(
        "basic",
        "put `user` and `password` into a profile, which sends them as Authorization: Basic",
    ),
    long(
        "digest",
        "keyfob sends tokens, and `user` and `password` of a profile as Basic",
    ),
    long(
        "negotiate",
        "keyfob sends tokens, and `user` and `password` of a profile as Basic",
    ),
    long(
        "ntlm",
        "keyfob sends tokens, and `user` and `password` of a profile as Basic",
    ),
    long("anyauth", "the profile says which credential is sent"),
    long("aws-sigv4", "keyfob signs no requests for AWS"),
    hinted(
        'c',
        "cookie-jar",
        "keyfob keeps no cookies; send one with --cookie NAME=VALUE",
    ),
    hinted('j', "junk-session-cookies", "keyfob keeps no cookies"),
    hinted('r', "range", "give the header: -H 'Range: bytes=0-99'"),
    hinted(
        'z',
        "time-cond",
        "give the header: -H 'If-Modified-Since: DATE'",
    ),
    hinted(
        'J',
        "remote-header-name",
        "a server must not choose the name of a file; use --output or --remote-name",
    ),
    long("output-dir", "name the whole path with --output"),
    long("create-dirs", "make the folder first"),
    hinted(
        'R',
        "remote-time",
        "the file has the time at which it was written",
    ),
    hinted(
        'K',
        "config",
        "an option file of curl is not read; profiles are in keyfob.toml",
    ),
    long(
        "capath",
        "name one file with all certificates: --cacert FILE",
    ),
    long(
        "pass",
        "name the passphrase in a profile: client_certificate.key_passphrase",
    ),
    long("cert-type", "the files are PEM: --cert and --key"),
    hinted(
        '1',
        "tlsv1",
        "keyfob speaks TLS 1.2 and 1.3, and needs no option for it",
    ),
    long(
        "tlsv1.2",
        "keyfob speaks TLS 1.2 and 1.3, and needs no option for it",
    ),
    long(
        "tlsv1.3",
        "keyfob speaks TLS 1.2 and 1.3, and needs no option for it",
    ),
    long(
        "tls-max",
        "keyfob speaks TLS 1.2 and 1.3, and needs no option for it",
    ),
    long(
        "ssl-reqd",
        "an https URL is always sent over TLS; no option is needed",
    ),
    long("ciphers", "the TLS library chooses the ciphers"),
    long(
        "proto",
        "keyfob speaks http and https only, and sends no token over plain http to another machine unless a profile allows it",
    ),
    long(
        "proto-redir",
        "a redirect from https to plain http is followed without the token; --max-redirects 0 follows none",
    ),
    long(
        "pinnedpubkey",
        "name the file with the certificate of the authority: --cacert FILE, or `ca_file` in a profile",
    ),
    long(
        "connect-to",
        "change the name's address in the hosts file of the system",
    ),
    long("path-as-is", "dots in a path are resolved, as in a browser"),
    long(
        "max-filesize",
        "there is no limit; --timeout limits the time",
    ),
    long(
        "no-progress-meter",
        "-q leaves out the progress and the notices",
    ),
    hinted(
        '0',
        "http1.0",
        "keyfob speaks HTTP/1.1 and HTTP/2, and needs no option for it",
    ),
    long(
        "http1.1",
        "keyfob speaks HTTP/1.1 and HTTP/2, and needs no option for it",
    ),
    long(
        "http2",
        "keyfob speaks HTTP/1.1 and HTTP/2, and needs no option for it",
    ),
    long(
        "http3",
        "keyfob speaks HTTP/1.1 and HTTP/2, and needs no option for it",
    ),
    hinted('4', "ipv4", "keyfob uses every address that the name has"),
    hinted('6', "ipv6", "keyfob uses every address that the name has"),
    long(
        "resolve",
        "change the name's address in the hosts file of the system",
    ),
    long("interface", "the system chooses the interface"),
    long(
        "unix-socket",
        "give a URL; `keyfob proxy` listens on a unix socket, and keyfob request does not connect to one",
    ),
    long("limit-rate", "keyfob does not limit the speed"),
    long(
        "retry-delay",
        "keyfob paces retries by itself, and obeys Retry-After",
    ),
    long("retry-max-time", "--timeout limits everything"),
    long(
        "retry-all-errors",
        "say that sending twice is harmless: --idempotent",
    ),
    long(
        "retry-connrefused",
        "keyfob retries a refused connection by itself",
    ),
    hinted(
        'a',
        "append",
        "HTTP has no such request; send what the API asks for",
    ),
    hinted(
        'Z',
        "parallel",
        "start one keyfob request for each URL; they share a profile's token",
    ),
    long("trace", "use -vv, which shows no secret"),
    long("trace-ascii", "use -vv, which shows no secret"),
];

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn each_hint_is_for_an_option_that_keyfob_does_not_have_and_names_only_options_it_has() {
        let mut root = Cli::command();
        root.build();
        let request = root.find_subcommand("request").expect("it exists");
        let has_long = |name: &str| {
            let mut options = request.get_arguments();
            options.any(|option| {
                option
                    .get_long_and_visible_aliases()
                    .is_some_and(|n| n.contains(&name))
            })
        };
        for wrong in HINTS {
            let short = wrong.short;
            for argument in [
                Some(format!("--{}", wrong.long)),
                short.map(|c| format!("-{c}")),
            ] {
                let Some(argument) = argument else {
                    continue;
                };
                let line = ["keyfob", "request", &argument, "https://h/"];
                // `--config` has another meaning here, and no hint of its own.
                if argument != "--config" {
                    assert!(Cli::try_parse_from(line).is_err(), "{argument}");
                }
                let hint = hint(&format!("{argument}=s3cret")).expect("it has a hint");
                assert!(
                    hint.starts_with(&format!("there is no {argument} here: ")),
                    "{hint}"
                );
                assert!(!hint.contains("s3cret"));
            }
            let words = wrong
                .text
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
            for named in words.filter_map(|word| word.strip_prefix("--")) {
                assert!(has_long(named), "{named}: {}", wrong.text);
            }
        }
    }
}
