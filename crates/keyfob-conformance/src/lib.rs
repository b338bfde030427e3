//! One table of cases that every interface of keyfob has to pass.
//!
//! A [`Case`](case::Case) is data: what a client sends, how scripted servers respond, and what must come of it, as the
//! promises R1 to R9 of docs/reference/contract.md demand. The program of this crate runs each case through each interface, and
//! judges what the servers received and what the caller got with the same code.
//!
//! ```text
//! cargo run -p keyfob-conformance                          # all cases over all interfaces
//! cargo run -p keyfob-conformance -- --face session --group retries --case '*503*'
//! cargo run -p keyfob-conformance -- --group random --random 300 --seed 7
//! cargo run -p keyfob-conformance -- corpus                # the cases as JSON
//! cargo run -p keyfob-conformance -- exceptions --write    # puts the exceptions into docs/reference/contract.md
//! ```
//!
//! Cases of random URLs and Locations run as well, with another seed each time. A failure names the seed.
//!
//! # The drivers
//!
//! A driver is a program that runs jobs through one interface. It reads one line of JSON from its standard input, a
//! [`Job`](outcome::Job); runs it; writes one line of JSON to its standard output, an [`Outcome`](outcome::Outcome); and
//! reads the next line, until its input ends. It makes a new client, with a new source of tokens, for each job. What a
//! driver writes to standard error is shown.
//!
//! * URLs are real and files are in place: a driver replaces nothing.
//! * The nth call of the source brings the nth of `client.fetches`, and `token-n` if there is none. Each token is valid
//!   for an hour. With `client.header`, the token alone goes into that field, without the word `Bearer`.
//!   `client.rejected_statuses` mean a rejected token, in addition to 401.
//! * `client.origins` are bound. If there are none, the credential may go to any https origin that the caller names.
//!   `client.plain_http` are bound too, and allowed over plain http.
//! * `client.timeout_ms` and `client.retry` are set as far as the interface has such a setting. `client.retry` has no
//!   setting for a budget: each client has its own.
//! * `client.environment` and `client.netrc` are already in the environment of the driver: the runner starts a process of
//!   its own for such a job.
//! * The requests of a job are sent one after the other over one client. A request with `idempotent` is marked so.
//! * A body of the kind `file` is an open file whose position is `offset`, if the interface takes open files.
//! * `fetches` counts the calls of the source; it is `null` for an interface without a source.
//! * The response body is read to its end. If that fails, the result has an `error`, and a `status` too if the interface
//!   returned the response before.
//!
//! The runner sets `SSL_CERT_FILE` and `REQUESTS_CA_BUNDLE` to the certificate of its servers, hides those of the machine,
//! points `HOME` to a folder of its own, and removes the proxy variables. An interface that reads neither variable has to be given the certificate.
//!
//! A driver of this program is added in `drivers/mod.rs` of the binary, one in another language in [`faces`]. The Python
//! one is `drivers/python.py`.
//!
//! # Exceptions
//!
//! A face that cannot pass a case has an entry in [`exceptions`], with the reason. The case runs all the same. The run
//! fails if it passes after all, and if a token went where none may go.

#![forbid(unsafe_code)]

pub mod case;
pub mod corpus;
pub mod exceptions;
pub mod expectation;
pub mod faces;
pub mod grid;
pub mod judge;
pub mod outcome;
mod pattern;

pub use pattern::matches;
