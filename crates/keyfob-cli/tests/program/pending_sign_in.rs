//! A run of the program that waits for a person to sign in, and the browser's side of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr};

use url::Url;

use crate::keyfob::{Finished, Keyfob, finish};

/// A sign-in that waits for a person.
pub(crate) struct PendingSignIn {
    pub(crate) child: Child,
    stderr: BufReader<ChildStderr>,
    read_so_far: String,
}

impl PendingSignIn {
    pub(crate) fn start(keyfob: Keyfob) -> Self {
        let mut child = keyfob.start();
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        Self {
            child,
            stderr,
            read_so_far: String::new(),
        }
    }

    /// The next indented line, which holds an address or a code for the person.
    pub(crate) fn shown(&mut self) -> String {
        let line = self.next_line(|line| line.starts_with("  "));
        line.trim().to_owned()
    }

    /// Waits for a line with these words.
    pub(crate) fn until_said(&mut self, words: &str) {
        self.next_line(|line| line.contains(words));
    }

    fn next_line(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        loop {
            let mut line = String::new();
            let read = self.stderr.read_line(&mut line).expect("it is text");
            assert!(read > 0, "it ended: {}", self.read_so_far);
            self.read_so_far.push_str(&line);
            if is_it(&line) {
                return line;
            }
        }
    }

    pub(crate) fn address(&mut self) -> Url {
        self.shown().parse().expect("it is a URL")
    }

    /// Waits for its end, and returns everything that it printed.
    pub(crate) fn finish(mut self) -> Finished {
        self.stderr
            .read_to_string(&mut self.read_so_far)
            .expect("it is text");
        let mut done = finish(self.child);
        done.stderr = self.read_so_far;
        done
    }
}

pub(crate) fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.expect("the parameter is there").1.into_owned()
}

/// The URL that the server redirects the browser to.
pub(crate) fn redirect_url(url: &Url, parameters: &str) -> String {
    let (uri, state) = (parameter(url, "redirect_uri"), parameter(url, "state"));
    format!("{uri}?state={state}&{parameters}")
}

/// The page at this URL.
pub(crate) fn get(url: &str) -> String {
    let url: Url = url.parse().expect("it is a URL");
    let address = url.socket_addrs(|| None).expect("it is an address")[0];
    let mut stream = TcpStream::connect(address).expect("the program listens");
    let target = &url[url::Position::BeforePath..];
    write!(stream, "GET {target} HTTP/1.1\r\nhost: {address}\r\n\r\n").expect("it reads");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("it is text");
    page
}
