//! Starts clients: the programs on this machine that get a shell on a host.

use std::io;

use crate::launch::target::{SshLogin, Target};
use crate::local::client::{Chunk, Client};
use crate::model::error::{Error, Result};

/// Starts the client of a session, and has it write `script` to the shell on the host.
///
/// # Errors
/// The launcher's program cannot be executed, there is no Slurm job, or a local error. Then nothing runs.
pub(crate) fn spawn_client(target: &Target, login: &SshLogin, script: Vec<Chunk>) -> Result<Client> {
    let traits = target.traits();
    let command = target.command(login)?;
    let client = Client::spawn(&command, traits.stdout, script).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            target.not_found(format!("{}: {error}", command.get_program().to_string_lossy()))
        }
        _ => Error::local(format!("starting {} to {}", target.launcher.name(), target.host), error),
    })?;
    if traits.kills_group_with_client {
        client.lifeline().own_group();
    }
    Ok(client)
}
