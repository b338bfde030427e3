//! Sign-ins that end while the store is in use, or cannot be written any more.

use std::fs;
use std::time::Duration;

use keyfob::store::{FileStore, StoreKey, StoreLease, TokenStore};
use keyfob_testkit::{Expect, ScriptedResponse};

use crate::pending_sign_in::{PendingSignIn, get, redirect_url};
use crate::sign_in::{Machine, token};

/// A machine on which a person signs in for the second time. The server has issued the token `second` when this returns.
fn second_sign_in(before_it_ends: impl FnOnce(&Machine)) -> (Machine, PendingSignIn) {
    let machine = Machine::new("authorization_code");
    machine.sign_in(token("first", 600));
    machine
        .server
        .expect(Expect::post("/token").respond(ScriptedResponse::json(token("second", 600))));
    let mut sign_in = PendingSignIn::start(machine.keyfob(&["login", "--no-browser"]));
    let url = sign_in.address();
    before_it_ends(&machine);
    get(&redirect_url(&url, "code=c0de"));
    (machine, sign_in)
}

/// The lease of the only entry, as another process holds it while it renews the token.
#[tokio::main(flavor = "current_thread")]
async fn lease(machine: &Machine) -> Box<dyn StoreLease> {
    let store = FileStore::new(machine.folder.path("state").join("keyfob"));
    let listed = store.list().await.expect("it can be read");
    let key: &StoreKey = &listed[0].key;
    let lease = store.lease(key, Duration::from_secs(20)).await;
    lease.expect("no other process renews")
}

#[test]
fn t9_a_sign_in_waits_for_the_renewal_of_another_process() {
    let mut held = None;
    let (machine, mut sign_in) = second_sign_in(|machine| held = Some(lease(machine)));
    sign_in.until_said("waiting until another process ends its renewal");
    drop(held);
    let done = sign_in.finish();
    assert_eq!(
        (done.code, &*done.stdout),
        (0, "signed in to a\n"),
        "{done:?}"
    );
    assert_eq!(machine.run(&["token", "--profile=a"]).stdout, "second\n");
}

#[test]
fn a_sign_in_that_cannot_be_stored_is_revoked() {
    for (status, end) in [
        (200, "the new tokens are revoked"),
        (400, "the new tokens may stay valid at the server"),
    ] {
        let (machine, sign_in) = second_sign_in(|machine| {
            let revoked = Expect::post("/revoke").always(ScriptedResponse::status(status));
            machine.server.expect(revoked);
            let directory = machine.folder.path("state").join("keyfob");
            for file in fs::read_dir(directory).expect("it is there") {
                let path = file.expect("it can be read").path();
                if path.extension().is_some_and(|kind| kind == "token") {
                    fs::write(path, "keyfob-token-99 x\n").expect("it is ours");
                }
            }
        });
        let done = sign_in.finish();
        assert_eq!(done.code, 3, "{done:?}");
        for words in ["newer version", end, "sign in again"] {
            assert!(done.stderr.contains(words), "{words}: {done:?}");
        }
        let refresh_token = machine.posts("/revoke")[0].form_value("token");
        assert_eq!(refresh_token.as_deref(), Some("refresh-of-second"));
    }
}
