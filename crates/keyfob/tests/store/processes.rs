//! Several processes over one store in files: they start at once, stand still, die, and find the disk full.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use keyfob::source::Persisted;
use keyfob::store::{FileStore, TokenStore};
use keyfob::{Error, Token, TokenCache};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::world::{Process, Rotating, SECOND, key, token};

/// What another process is told.
#[derive(Deserialize, Serialize)]
struct Errand {
    store: String,
    /// The most bytes that a file may have, as on a disk that is full.
    room: Option<u64>,
}

/// A process of its own: it says `ready`, waits for a line, and gets a token. It asks for each exchange by saying `exchange`,
/// and takes the next line for the number of the new token.
pub(crate) struct Other {
    process: Child,
    says: Lines<BufReader<ChildStdout>>,
    told: ChildStdin,
}

impl Other {
    fn start(store: &Path, room: Option<u64>) -> Self {
        let errand = Errand {
            store: store.to_str().unwrap().to_owned(),
            room,
        };
        let errand = serde_json::to_string(&errand).unwrap();
        Self::run("processes::as_a_process_of_its_own", &errand)
    }

    /// Runs a test that is such a process, and tells it its errand in a line.
    pub(crate) fn run(test: &str, errand: &str) -> Self {
        // What a shell ignores, what it becomes ignores too: a write without room shall fail, not kill.
        let mut process = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .args(["--ignored", "--nocapture", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut other = Self {
            says: BufReader::new(process.stdout.take().unwrap()).lines(),
            told: process.stdin.take().unwrap(),
            process,
        };
        other.tell(errand);
        assert_eq!(other.hear(), "ready");
        other
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.told, "{line}").unwrap();
    }

    /// The next thing it says itself; its test harness speaks as well.
    pub(crate) fn hear(&mut self) -> String {
        let said = self.says.by_ref().map_while(Result::ok);
        let mut own = said.filter_map(|line| line.strip_prefix(MARK).map(str::to_owned));
        own.next().unwrap_or_else(|| "nothing".to_owned())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "other tests run it as a process of its own"]
fn as_a_process_of_its_own() {
    let errand: Errand = serde_json::from_str(&read()).unwrap();
    if let Some(room) = errand.room {
        let room = Rlimit {
            current: Some(room),
            maximum: Some(room),
        };
        setrlimit(Resource::Fsize, room).unwrap();
    }
    get_token_from(FileStore::new(errand.store));
}

/// The part of such a process that does not depend on its store.
pub(crate) fn get_token_from(store: impl TokenStore) {
    let source = keyfob::hook_blocking(|_| {
        say("exchange");
        let number = read()
            .parse()
            .map_err(|_| Error::unavailable("no answer"))?;
        token(number)
    });
    let source = Persisted::new(Rotating(source), store, key());
    let tokens = TokenCache::new(source);
    say("ready");
    read();
    match tokens.get_valid_token_blocking() {
        Ok(token) => say(token.expose()),
        Err(error) => say(&format!("{}: {error}", error.kind())),
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{line}").unwrap();
    out.flush().unwrap();
}

pub(crate) fn read() -> String {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    line.trim().to_owned()
}

#[test]
fn t1_fifty_processes_that_start_at_once_cause_one_exchange() {
    let scratch = tempfile::tempdir().unwrap();
    let mut others: Vec<_> = (0..50)
        .map(|_| Other::start(&place(&scratch), None))
        .collect();
    for other in &mut others {
        other.tell("go");
        // Whoever exchanges reads it as the answer; who reads it later reads nothing of it.
        other.tell("1");
    }
    let mut exchanges = 0;
    for other in &mut others {
        let mut said = other.hear();
        if said == "exchange" {
            exchanges += 1;
            said = other.hear();
        }
        assert_eq!(said, "token-1");
    }
    assert_eq!(exchanges, 1);
}

#[test]
fn t9_a_holder_that_is_killed_in_the_middle_of_an_exchange_leaves_a_note_and_no_lock() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut holder, mut next) = (
        Other::start(&place(&scratch), None),
        Other::start(&place(&scratch), None),
    );
    holder.tell("go");
    assert_eq!(holder.hear(), "exchange");
    next.tell("go");
    holder.signal(Signal::KILL);
    assert_eq!(next.hear(), "exchange", "once more, within the grace");
    next.signal(Signal::KILL);
    let mut third = Other::start(&place(&scratch), None);
    third.tell("go");
    let said = third.hear();
    assert!(
        said.starts_with("refused: ") && said.contains("sign in again"),
        "{said}"
    );
}

#[test]
fn t9_a_holder_that_stands_still_keeps_its_lock_and_its_answer_counts() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut holder, mut next) = (
        Other::start(&place(&scratch), None),
        Other::start(&place(&scratch), None),
    );
    holder.tell("go");
    assert_eq!(holder.hear(), "exchange");
    holder.signal(Signal::STOP);
    next.tell("go");
    let store = FileStore::new(place(&scratch));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let taken = runtime.block_on(store.lease(&key(), SECOND / 2));
    assert!(
        taken.is_err(),
        "the system keeps the lock of a process that was stopped"
    );
    holder.tell("1");
    holder.signal(Signal::CONT);
    assert_eq!(holder.hear(), "token-1");
    assert_eq!(next.hear(), "token-1");
}

#[test]
fn t9_on_a_full_disk_nothing_is_exchanged_and_what_was_stored_stays() {
    let scratch = tempfile::tempdir().unwrap();
    let mut full = Other::start(&place(&scratch), Some(16));
    full.tell("go");
    let said = full.hear();
    assert!(
        said.starts_with("unavailable: ") && said.contains("cannot be written"),
        "{said}"
    );
    let left = std::fs::read_dir(place(&scratch)).unwrap();
    let left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left.len(), 1, "the lock alone: {left:?}");
    let mut roomy = Other::start(&place(&scratch), None);
    roomy.tell("go");
    assert_eq!(roomy.hear(), "exchange");
    roomy.tell("1");
    assert_eq!(roomy.hear(), "token-1");
    let mut full = Other::start(&place(&scratch), Some(16));
    full.tell("go");
    assert_eq!(full.hear(), "token-1", "reading needs no room");
}

#[tokio::test]
async fn t6_a_clock_that_is_minutes_behind_or_ahead_loses_no_refresh_token() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::new(place(&scratch));
    let (behind, ahead) = (
        Process::rotating(store.clone()),
        Process::rotating(store.clone()),
    );
    ahead.clock.step_wall(7 * 60);
    ahead.get_answered(token(1)).await.unwrap();
    // Written by a clock that runs ahead: as if just now.
    assert_eq!(behind.get().await.unwrap(), "token-1");
    assert!(behind.cache.status().expires_in.unwrap() <= SECOND * 100);
    // When it has run out in truth, a server says so, and the stored refresh token is used.
    let rejected = behind.cache.ready().unwrap();
    let nothing = keyfob::exchange::Challenges::default();
    let answer = async { behind.source.next_call().await.answer(token(2)) };
    let (replaced, ()) = tokio::join!(behind.cache.replace(&rejected, &nothing, None), answer);
    assert_eq!(replaced.unwrap().token().expose(), "token-2");
    // One that is ahead renews too early, with the refresh token that is stored.
    let later = Process::rotating(store);
    later.clock.step_wall(7 * 60);
    let answer = async {
        let call = later.source.next_call().await;
        let previous = call
            .request()
            .previous()
            .map(Token::expose)
            .map(str::to_owned);
        assert_eq!(previous.as_deref(), Some("token-2"));
        call.answer(token(3));
    };
    let (got, ()) = tokio::join!(later.get(), answer);
    assert_eq!(got.unwrap(), "token-3");
}

/// A directory that the store makes itself, for its owner alone.
fn place(scratch: &TempDir) -> PathBuf {
    scratch.path().join("store")
}

const MARK: &str = "keyfob says ";
