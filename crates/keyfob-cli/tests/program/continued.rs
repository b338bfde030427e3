//! Downloads that a later run continues.

use std::fs;

use keyfob_testkit::{Expect, ScriptedResponse, Server};

use crate::keyfob::{Finished, Folder, Keyfob};
use crate::output::names;

const WHOLE: &str = "0123456789";

#[test]
fn a_download_is_continued_where_the_connection_broke() {
    let (server, folder) = broken("\"v1\"");
    let rest = ScriptedResponse::text(&WHOLE[4..])
        .with_status(206)
        .header("content-range", "bytes 4-9/10");
    server.expect(
        Expect::get("/x")
            .header("range", "bytes=4-")
            .header("if-range", "\"v1\"")
            .respond(rest),
    );
    let done = run(&server, &folder);
    assert_eq!((done.code, &*done.stdout), (0, ""), "{done:?}");
    assert_eq!(fs::read_to_string(folder.path("out")).unwrap(), WHOLE);
    assert_eq!(names(&folder), ["out"]);
}

#[test]
fn a_new_version_is_downloaded_as_a_whole() {
    let (server, folder) = broken("\"v1\"");
    let new = ScriptedResponse::text("new").header("etag", "\"v2\"");
    server.expect(Expect::get("/x").header("range", "bytes=4-").respond(new));
    assert_eq!(run(&server, &folder).code, 0);
    assert_eq!(fs::read_to_string(folder.path("out")).unwrap(), "new");
    assert_eq!(names(&folder), ["out"]);
}

#[test]
fn a_part_of_another_url_is_not_continued() {
    let (server, folder) = broken("\"v1\"");
    let other = ScriptedResponse::text("other");
    server.expect(Expect::get("/y").without_header("range").respond(other));
    let out = folder.path("out").display().to_string();
    let done = Keyfob::request([&*server.url_for("/y"), "-C", "-", "-o", &out]).run();
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(fs::read_to_string(out).unwrap(), "other");
}

#[test]
fn a_part_without_a_strong_version_is_not_kept() {
    let (server, folder) = begun("W/\"v1\"");
    let done = run(&server, &folder);
    assert_eq!(done.code, 18, "{done:?}");
    assert!(done.complaint().contains("cannot be continued"), "{done:?}");
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn a_complete_part_gets_its_name_and_a_wrong_range_is_a_failure() {
    let (server, folder) = broken("\"v1\"");
    let complete = ScriptedResponse::status(416).header("content-range", "bytes */4");
    server.expect(Expect::get("/x").respond(complete));
    let done = run(&server, &folder);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(fs::read_to_string(folder.path("out")).unwrap(), "0123");

    let (server, folder) = broken("\"v1\"");
    let wrong = ScriptedResponse::text("x")
        .with_status(206)
        .header("content-range", "bytes 0-0/10");
    server.expect(Expect::get("/x").respond(wrong));
    let done = run(&server, &folder);
    assert_eq!(done.code, 33, "{done:?}");
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn a_status_of_400_or_more_leaves_the_part_and_the_old_file() {
    let (server, folder) = broken("\"v1\"");
    folder.file("out", "old");
    server.expect(Expect::get("/x").always(ScriptedResponse::status(404)));
    assert_eq!(run(&server, &folder).code, 22);
    assert_eq!(fs::read_to_string(folder.path("out")).unwrap(), "old");
    assert_eq!(fs::read_to_string(folder.path("out.part")).unwrap(), "0123");
}

#[test]
fn only_a_file_can_be_continued_and_only_where_it_ends() {
    for arguments in [
        &["-C", "-"][..],
        &["-C", "-", "-o", "-"],
        &["-C", "100", "-o", "out"],
        &["-C", "-", "-o", "out", "-d", "x"],
    ] {
        let line = ["https://h.invalid/"].iter().chain(arguments);
        let done = Keyfob::request(line).run();
        assert_eq!(done.code, 2, "{done:?}");
    }
}

/// A server that breaks off after four bytes of a version with this ETag.
fn begun(tag: &str) -> (Server, Folder) {
    let server = Server::start();
    let cut = ScriptedResponse::text(WHOLE)
        .header("etag", tag)
        .cut_body_after(4);
    server.expect(Expect::get("/x").without_header("range").respond(cut));
    (server, Folder::new())
}

/// The same after the first run, which leaves a part.
fn broken(tag: &str) -> (Server, Folder) {
    let (server, folder) = begun(tag);
    let done = run(&server, &folder);
    assert_eq!(done.code, 18, "{done:?}");
    assert!(done.complaint().contains("the same command continues it"));
    assert_eq!(names(&folder), ["out.part", "out.part.version"]);
    (server, folder)
}

fn run(server: &Server, folder: &Folder) -> Finished {
    let out = folder.path("out").display().to_string();
    let arguments = [&*server.url_for("/x"), "-C", "-", "-o", &out, "--retry=0"];
    Keyfob::request(arguments).run()
}
