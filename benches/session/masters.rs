//! Connections for raw `ssh -S`: `ssh -M -N` masters, which log in as fast as sshd lets them.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::clients::Clients;
use crate::rig::Rig;
use crate::wait::{Watch, pidfd, readable};

/// How long the next master may take to log in.
const PATIENCE: Duration = Duration::from_secs(60);

/// Running masters. Dropping it ends them.
pub struct Masters<'a> {
    rig: &'a Rig,
    clients: Clients,
    pub count: usize,
}

impl<'a> Masters<'a> {
    /// Starts `count` masters, and calls `ready` with the number of each as soon as it accepts sessions. They run in
    /// the foreground, as children of this process, so that it can end them.
    pub fn start(
        rig: &'a Rig,
        count: usize,
        mut ready: impl FnMut(usize) -> Result<(), String>,
    ) -> Result<Masters<'a>, String> {
        let describe = |error: std::io::Error| format!("cannot wait for masters: {error}");
        let watch = Watch::new(&rig.dir()).map_err(describe)?;
        let mut masters = Masters { rig, clients: Clients::default(), count };
        let mut connecting: Vec<(usize, OwnedFd)> = Vec::new();
        let mut begun = 0;
        while begun < count || !connecting.is_empty() {
            while begun < count && connecting.len() < rig.at_once() {
                let pid = masters.spawn(begun)?;
                connecting.push((begun, pidfd(pid).map_err(describe)?));
                begun += 1;
            }
            let fds: Vec<BorrowedFd> =
                std::iter::once(watch.as_fd()).chain(connecting.iter().map(|(_, fd)| fd.as_fd())).collect();
            match readable(&fds, Instant::now() + PATIENCE).map_err(describe)?.as_slice() {
                [true, ..] => {
                    for name in watch.names().map_err(describe)? {
                        // Other names are those of files that ssh makes on the way.
                        if let Some(at) = connecting.iter().position(|(number, _)| socket(*number) == name) {
                            ready(connecting.swap_remove(at).0)?;
                        }
                    }
                }
                [_, ended @ ..] if ended.contains(&true) => return Err("a raw ssh master failed".to_owned()),
                _ => return Err(format!("timed out after {PATIENCE:?} waiting for a raw ssh master to be ready")),
            }
        }
        Ok(masters)
    }

    fn spawn(&mut self, number: usize) -> Result<i32, String> {
        let mut ssh = self.rig.ssh();
        ssh.args(["-M", "-N", "-S", &socket(number), &self.rig.host(number)]);
        Ok(self.clients.spawn(&mut ssh)?.id() as i32)
    }

    pub fn pids(&self) -> impl Iterator<Item = i32> {
        self.clients.pids()
    }
}

impl Drop for Masters<'_> {
    /// Removes the sockets too: a killed master leaves its socket, and the next master of that name would refuse to
    /// start.
    fn drop(&mut self) {
        self.clients = Clients::default();
        for number in 0..self.count {
            // If the socket does not exist, it was never made.
            let _ = fs::remove_file(self.rig.dir().join(socket(number)));
        }
    }
}

/// Returns the command for a session over this master.
pub fn session(rig: &Rig, master: usize, command: &str) -> Command {
    let mut ssh = rig.ssh();
    ssh.args(["-S", &socket(master), &rig.host(master), command]);
    ssh
}

/// Returns the path of a master's socket, relative to the remote's directory, in which all clients run: paths of
/// sockets have to be short.
fn socket(number: usize) -> String {
    format!("master-{number}")
}
