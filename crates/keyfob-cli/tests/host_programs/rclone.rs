//! rclone lists a WebDAV folder, and gets another token after a rejection.

use std::time::Duration;

use keyfob_testkit::ScriptedResponse;

use crate::sandbox::{Ended, Sandbox, run};

#[test]
fn r3_rclone_gets_another_token_in_the_same_run_after_a_rejection() {
    let sandbox = Sandbox::new(|_| {
        ScriptedResponse::text(LISTING)
            .with_status(207)
            .header("content-type", "application/xml")
    });
    sandbox
        .endpoint
        .issuer()
        .set_lifetime(Duration::from_secs(3600));
    sandbox.set_up("rclone");
    let listed = list(&sandbox);
    assert!(
        listed.success && listed.stdout.contains("report.txt"),
        "{listed:?}"
    );
    sandbox.endpoint.issuer().revoke_current();
    let listed = list(&sandbox);
    assert!(
        listed.success && listed.stdout.contains("report.txt"),
        "{listed:?}"
    );
    assert_eq!(sandbox.endpoint.calls(), 2);
}

fn list(sandbox: &Sandbox) -> Ended {
    let mut rclone = sandbox.command("rclone");
    run(rclone
        .args(["lsf", "a:", "--ca-cert"])
        .arg(sandbox.authority()))
}

const LISTING: &str = r#"<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">
<d:response><d:href>/</d:href><d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>
<d:response><d:href>/report.txt</d:href><d:propstat><d:prop><d:resourcetype/><d:getcontentlength>1</d:getcontentlength><d:getlastmodified>Mon, 02 Feb 2026 00:00:00 GMT</d:getlastmodified></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>
</d:multistatus>"#;
