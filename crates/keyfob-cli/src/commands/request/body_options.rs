//! The options for the body of a request, with the names that curl gives them.

use std::path::PathBuf;

use clap::Args;

/// What is sent as the body.
#[derive(Args, Clone)]
#[command(next_help_heading = "Body, from one kind of option")]
pub(super) struct BodyOptions {
    /// Send this text, a file, or standard input (`@-`) as the body; if given more than once, the parts are joined by `&`
    ///
    /// The body is sent as it is, as application/x-www-form-urlencoded unless a header says otherwise. Standard input is streamed,
    /// and so is a file of more than 1 MiB, which is opened again if the request has to be sent again.
    #[arg(short, long, value_name = "TEXT|@FILE|@-", alias = "data-binary", alias = "data-ascii", conflicts_with_all = ["json", "upload_file", "form", "form_string"])]
    pub(super) data: Vec<String>,
    /// As --data, but a leading `@` is sent as it is
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["json", "upload_file", "form", "form_string"])]
    pub(super) data_raw: Vec<String>,
    /// As --data, percent-encoded: `TEXT`, `NAME=TEXT`, `@FILE` or `NAME@FILE`
    #[arg(long, value_name = "[NAME=]TEXT", conflicts_with_all = ["json", "upload_file", "form", "form_string"])]
    pub(super) data_urlencode: Vec<String>,
    /// Add the data to the query of the URL, in place of a body
    #[arg(short = 'G', long, conflicts_with_all = ["json", "upload_file", "form", "form_string"])]
    pub(super) get: bool,
    /// Send this JSON, a file, or standard input as the body, and accept JSON
    #[arg(long, value_name = "TEXT|@FILE|@-", conflicts_with_all = ["upload_file", "form", "form_string"])]
    pub(super) json: Option<String>,
    /// Send a part of a multipart form: text, the text of `<FILE`, or a file with `@FILE`
    ///
    /// `NAME=@FILE;type=image/png;filename=a.png` sets the media type and the name of a file. A file of more than 1 MiB is streamed.
    #[arg(
        short = 'F',
        long,
        value_name = "NAME=TEXT|@FILE|<FILE",
        conflicts_with = "upload_file"
    )]
    pub(super) form: Vec<String>,
    /// Send a text as a part of a multipart form, also if it begins with `@` or `<`
    #[arg(long, value_name = "NAME=TEXT", conflicts_with = "upload_file")]
    pub(super) form_string: Vec<String>,
    /// Send this file with PUT; a file of more than 1 MiB is streamed
    #[arg(short = 'T', long, value_name = "FILE")]
    pub(super) upload_file: Option<PathBuf>,
}
