//! What a command prints, taken as it is: for secrets that are no tokens.

use std::ffi::{OsStr, OsString};

use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::source::command::CommandToken;
use crate::source::source::TokenRequest;

impl CommandToken {
    /// The program and its arguments.
    pub(crate) fn words(&self) -> Vec<&OsStr> {
        let arguments = self.arguments.iter().map(OsString::as_os_str);
        std::iter::once(self.program.as_os_str())
            .chain(arguments)
            .collect()
    }

    /// The program that is run.
    pub(crate) fn program(&self) -> &OsStr {
        &self.program
    }

    /// All that the command prints, as it is: for a secret that is no token.
    pub(crate) fn text(
        &self,
        request: &TokenRequest,
    ) -> BoxFuture<'static, Result<Zeroizing<String>, Error>> {
        let source = self.clone();
        self.run(request, move |stdout| {
            let text = str::from_utf8(&stdout).map_err(|_| {
                Error::malformed(format!(
                    "the command {:?} printed something that is not text",
                    source.program
                ))
            })?;
            Ok(Zeroizing::new(text.to_owned()))
        })
    }
}
