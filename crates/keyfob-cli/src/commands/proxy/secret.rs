//! The secret of a proxy that was given none for its clients.

use std::env;

use keyfob::proxy::ClientSecrets;

use crate::commands::proxy::plan::CLIENT;
use crate::output::error::CliError;
use crate::output::print::print_stdout;

/// Makes a secret and prints it as a line that a shell runs. It is printed this once, and kept nowhere.
pub(super) fn generate() -> Result<ClientSecrets, CliError> {
    // systemd keeps what a service prints.
    if env::var_os("JOURNAL_STREAM").is_some() {
        return Err(CliError::usage(
            "a TCP address needs a secret of its clients, and a new one would be in the journal; give --client-secret-file, or \
             `clients` in [proxy]",
        ));
    }
    let mut clients = ClientSecrets::default();
    let secret = clients.generate(CLIENT)?;
    print_stdout(format!("export KEYFOB_CLIENT_SECRET={}\n", &*secret))?;
    Ok(clients)
}
