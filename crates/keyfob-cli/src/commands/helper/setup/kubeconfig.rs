//! The entry of a kubeconfig, which kubectl itself writes.

use serde_json::{Value, json};
use tokio::process::Command;

use crate::commands::helper::setup::context::Context;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::{print_notice, print_stdout};

pub(super) async fn run(context: &Context, write: bool) -> Result<ExitCode, CliError> {
    match write {
        true => add(context).await?,
        false => {
            // JSON is YAML too.
            let user = json!({ "name": context.profile.name(), "user": { "exec": exec(context) } });
            print_stdout(format!("{:#}\n", json!({ "users": [user] })))?;
            print_notice("# for the kubeconfig; --write adds it with kubectl\n");
        }
    }
    let name = context.profile.name();
    print_notice(format!(
        "# then: kubectl config set-context --current --user={}\n",
        shell_words::quote(name)
    ));
    Ok(ExitCode::Done)
}

fn exec(context: &Context) -> Value {
    let words = context.command("kubectl", &[]);
    let (command, args) = words.split_first().expect("the program is the first");
    json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": command,
        "args": args,
        "env": null,
        "interactiveMode": "Never",
        "provideClusterInfo": true,
    })
}

async fn add(context: &Context) -> Result<(), CliError> {
    let name = context.profile.name();
    let known = kubectl(&["config", "view", "--output=json"]).await?;
    let known: Value = serde_json::from_str(&known).unwrap_or_default();
    let users = known["users"].as_array().into_iter().flatten();
    let mut ours = users.filter(|user| user["name"] == name);
    if let Some(user) = ours.next() {
        let (now, wanted) = (&user["user"]["exec"], exec(context));
        let same = ["apiVersion", "command", "args", "provideClusterInfo"]
            .iter()
            .all(|key| now[key] == wanted[key]);
        if !same {
            return Err(CliError::usage(format!(
                "the kubeconfig has another user {name} already; remove it with `kubectl config delete-user {name}`, or add by hand \
                 what this command prints without --write"
            )));
        }
        print_notice(format!(
            "keyfob: the kubeconfig has the user {name} already\n"
        ));
        return Ok(());
    }
    let words = context.command("kubectl", &[]);
    let (command, args) = words.split_first().expect("the program is the first");
    let mut options = vec![
        "config".to_owned(),
        "set-credentials".to_owned(),
        name.to_owned(),
        "--exec-api-version=client.authentication.k8s.io/v1".to_owned(),
        format!("--exec-command={command}"),
        "--exec-provide-cluster-info=true".to_owned(),
        "--exec-interactive-mode=Never".to_owned(),
    ];
    options.extend(args.iter().map(|word| format!("--exec-arg={word}")));
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    kubectl(&options).await?;
    print_notice(format!("keyfob: added the user {name} to the kubeconfig\n"));
    Ok(())
}

async fn kubectl(arguments: &[&str]) -> Result<String, CliError> {
    let mut run = Command::new("kubectl");
    let output = run.args(arguments).kill_on_drop(true).output().await;
    let advice = "kubectl cannot change the kubeconfig; add by hand what this command prints without --write";
    let output = output.map_err(|error| CliError::failed(advice, &error))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let reason = keyfob::error::printable(reason.trim());
        return Err(CliError::new(
            ExitCode::Failed,
            format!("{advice}: {reason}"),
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
