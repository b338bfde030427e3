//! The configuration of each program.

use std::env;
use std::path::PathBuf;

use serde_json::json;

use crate::commands::helper::setup::context::Context;
use crate::commands::helper::setup::files::{Merge, Plan};
use crate::output::error::CliError;

/// git-config(1)
pub(super) fn git(context: &Context) -> Result<Plan, CliError> {
    let words = context.command("git", &[]);
    let line = format!("!{}", shell_words::join(words));
    let line = line.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = String::new();
    let mut taken = Vec::new();
    for host in context.hosts()? {
        let url = format!("https://{host}");
        // An empty value removes the helpers of other files. Otherwise git would ask them too, and store the token with them.
        text += &format!("[credential \"{url}\"]\n\thelper =\n\thelper = \"{line}\"\n");
        taken.push(format!("[credential \"{url}\"]"));
        taken.push(format!("[credential \"{url}/"));
    }
    let home = home()?;
    let usual = home.join(".gitconfig");
    let xdg = named_path("XDG_CONFIG_HOME", home.join(".config")).join("git/config");
    let file = match env::var_os("GIT_CONFIG_GLOBAL") {
        Some(file) => PathBuf::from(file),
        None if !usual.exists() && xdg.exists() => xdg,
        None => usual,
    };
    Ok(Plan {
        file,
        text,
        merge: Merge::Append(taken),
        link: None,
    })
}

/// <https://docs.docker.com/reference/cli/docker/login/#credential-helpers>
pub(super) fn docker(context: &Context) -> Result<Plan, CliError> {
    let link = context.link("docker-credential-keyfob")?;
    let name = link.trim_start_matches("docker-credential-");
    let key = |host: String| match host.as_str() {
        // The only registry that docker knows by a URL.
        "index.docker.io" => "https://index.docker.io/v1/".to_owned(),
        _ => host,
    };
    let hosts = context.hosts()?.into_iter().map(key);
    let members: Vec<_> = hosts.map(|host| (host, name.to_owned())).collect();
    let helpers: serde_json::Map<_, _> = members
        .iter()
        .map(|(host, name)| (host.clone(), json!(name)))
        .collect();
    let text = format!("{:#}\n", json!({ "credHelpers": helpers }));
    Ok(Plan {
        file: named_path("DOCKER_CONFIG", home()?.join(".docker")).join("config.json"),
        text,
        merge: Merge::Member {
            object: "credHelpers",
            members,
        },
        link: Some(context.links.join(link)),
    })
}

/// <https://developer.hashicorp.com/terraform/cli/config/config-file#credentials-helpers>
pub(super) fn terraform(context: &Context) -> Result<Plan, CliError> {
    // Terraform has one helper for all hosts, so it is not narrowed to one profile.
    let words: Vec<_> = context
        .config
        .iter()
        .map(|word| format!("{word:?}"))
        .collect();
    let text = format!(
        "credentials_helper \"keyfob\" {{\n  args = [{}]\n}}\n",
        words.join(", ")
    );
    let home = home()?;
    let file = named_path("TF_CLI_CONFIG_FILE", home.join(".terraformrc"));
    Ok(Plan {
        file,
        text,
        merge: Merge::Append(vec!["credentials_helper".to_owned()]),
        link: Some(home.join(".terraform.d/plugins/terraform-credentials-keyfob")),
    })
}

/// <https://bazel.build/reference/command-line-reference#flag--credential_helper>
pub(super) fn bazel(context: &Context) -> Result<Plan, CliError> {
    let link = context.links.join(context.link("bazel-credential-keyfob")?);
    let mut text = String::new();
    let mut taken = Vec::new();
    for host in context.hosts()? {
        // Bazel matches the name of the host alone.
        let host = host.rsplit_once(':').map_or(&*host, |(host, _)| host);
        let start = format!("common --credential_helper={host}=");
        text += &format!("{start}{}\n", link.display());
        taken.push(start.replace("common", "build"));
        taken.push(start);
    }
    Ok(Plan {
        file: home()?.join(".bazelrc"),
        text,
        merge: Merge::Append(taken),
        link: Some(link),
    })
}

/// <https://doc.rust-lang.org/cargo/reference/config.html#registriesnamecredential-provider>
pub(super) fn cargo(context: &Context) -> Result<Plan, CliError> {
    let link = context.links.join("cargo-credential-keyfob");
    let name = context.profile.name();
    // Names of registries have no dot.
    let registry = name.replace('.', "-");
    let index = format!("sparse+{}", context.base_url()?);
    let mut words = vec![
        link.display().to_string(),
        "--profile".to_owned(),
        name.to_owned(),
    ];
    words.extend_from_slice(&context.config);
    let words: Vec<_> = words.iter().map(|word| json!(word).to_string()).collect();
    let text = format!(
        "[registries.{registry}]\nindex = {}\ncredential-provider = [{}]\n",
        json!(index),
        words.join(", ")
    );
    Ok(Plan {
        file: named_path("CARGO_HOME", home()?.join(".cargo")).join("config.toml"),
        text,
        merge: Merge::Append(vec![
            format!("[registries.{registry}]"),
            format!("[registries.\"{registry}\"]"),
            format!("registries.{registry}."),
            "registries=".to_owned(),
        ]),
        link: Some(link),
    })
}

/// <https://rclone.org/webdav/#webdav-bearer-token-command>
pub(super) fn rclone(context: &Context) -> Result<Plan, CliError> {
    let url = context.base_url()?;
    let name = context.profile.name();
    let words = context.command("rclone", &[url]);
    // rclone splits the command at spaces outside of double quotes.
    let quoted = |word: &String| match word.contains([' ', '"']) {
        true => format!("\"{}\"", word.replace('"', "\"\"")),
        false => word.clone(),
    };
    let command: Vec<_> = words.iter().map(quoted).collect();
    let text = format!(
        "[{name}]\ntype = webdav\nurl = {url}\nvendor = other\nbearer_token_command = {}\n",
        command.join(" ")
    );
    let usual = named_path("XDG_CONFIG_HOME", home()?.join(".config")).join("rclone/rclone.conf");
    Ok(Plan {
        file: named_path("RCLONE_CONFIG", usual),
        text,
        // An encrypted file begins with this, after a comment.
        merge: Merge::Append(vec![format!("[{name}]"), "RCLONE_ENCRYPT".to_owned()]),
        link: None,
    })
}

/// The path that a variable names, or this one.
fn named_path(variable: &str, usual: PathBuf) -> PathBuf {
    let named = env::var_os(variable).filter(|value| !value.is_empty());
    named.map_or(usual, PathBuf::from)
}

fn home() -> Result<PathBuf, CliError> {
    let home = env::home_dir().filter(|home| !home.as_os_str().is_empty());
    home.ok_or_else(|| CliError::usage("there is no home directory; set HOME"))
}
