//! Each command of docs/how-to/from-curl.md runs, against a server of this machine.

use std::fs;

use keyfob_testkit::{Expect, ScriptedResponse, Server};

use crate::keyfob::{Folder, Keyfob};

#[test]
fn each_command_of_the_page_about_curl_runs() {
    let page = include_str!("../../../../docs/how-to/from-curl.md");
    let begin = "| `keyfob request ";
    let commands: Vec<&str> = page
        .lines()
        .filter_map(|line| line.split_once(begin)?.1.strip_suffix("` |"))
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    let folder = Folder::new();
    folder.file("photo.png", "not really");
    for command in commands {
        let server = Server::start();
        server.expect(
            Expect::any()
                .bearer("t0ken")
                .respond(ScriptedResponse::text("fine")),
        );
        let command = command.replace("https://api.example.com", &server.url_for(""));
        let words = shell_words::split(&command).expect("it is a line for a shell");
        let done = Keyfob::request(&words).in_folder(&folder).run();
        assert_eq!((done.code, &*done.stderr), (0, ""), "{command}");
        server.verify();
    }
    for written in ["backup.tar", "head.txt"] {
        let text = fs::read_to_string(folder.path(written)).expect("it was written");
        assert!(text.contains("fine") || text.starts_with("HTTP/1.1 200"));
    }
}
