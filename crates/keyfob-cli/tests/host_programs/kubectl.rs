//! kubectl, which runs keyfob as an exec plugin.

use std::time::Duration;

use keyfob_testkit::ScriptedResponse;

use crate::sandbox::{Ended, Sandbox, run};

#[test]
fn kubectl_gets_a_token_and_after_a_rejection_another_one() {
    let sandbox = Sandbox::new(|_| ScriptedResponse::text("ok"));
    sandbox
        .endpoint
        .issuer()
        .set_lifetime(Duration::from_secs(3600));
    configure(&sandbox);
    let healthy = get(&sandbox);
    assert!(healthy.success && healthy.stdout == "ok", "{healthy:?}");
    assert_eq!(get(&sandbox).stdout, "ok");
    assert_eq!(sandbox.endpoint.calls(), 1);
    sandbox.endpoint.issuer().revoke_current();
    // kubectl runs its plugin again after the 401, and fails all the same.
    let refused = get(&sandbox);
    assert!(!refused.success, "{refused:?}");
    let healthy = get(&sandbox);
    assert_eq!(healthy.stdout, "ok", "{healthy:?}");
    assert_eq!(sandbox.endpoint.calls(), 2);
}

#[test]
fn r1_a_cluster_that_no_profile_is_for_gets_no_token() {
    let sandbox = Sandbox::new(|_| ScriptedResponse::text("ok"));
    configure(&sandbox);
    sandbox.folder.file(
        "keyfob.toml",
        "[profiles.a]\nbase_url = 'https://other.example'\ntoken = 'env:HOME'\n",
    );
    let refused = get(&sandbox);
    assert!(
        !refused.success && refused.stderr.contains("no profile is for"),
        "{refused:?}"
    );
    assert_eq!(sandbox.count(200), 0);
}

fn configure(sandbox: &Sandbox) {
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
         clusters: [{{name: a, cluster: {{server: '{}', certificate-authority: '{}'}}}}]\n\
         contexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
         users: [{{name: a, user: {{exec: {{apiVersion: client.authentication.k8s.io/v1beta1, command: keyfob, \
         args: [helper, kubectl], provideClusterInfo: true, interactiveMode: Never}}}}}}]\n",
        sandbox.url(""),
        sandbox.authority().display()
    );
    sandbox.folder.file("kubeconfig", &kubeconfig);
}

fn get(sandbox: &Sandbox) -> Ended {
    let kubeconfig = sandbox.path("kubeconfig");
    let mut kubectl = sandbox.command("kubectl");
    run(kubectl
        .env("KUBECONFIG", kubeconfig)
        .args(["get", "--raw", "/healthz"]))
}
