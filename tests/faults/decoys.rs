//! Decoys: programs that look like those of the session, do not belong to it, and must never get a signal.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::host::Host;
use crate::near::Near;
use crate::recorder::{self, Life};
use crate::support::{DEADLINE, MARK, test_app, wait_until};

pub struct Decoy {
    child: Child,
    log: PathBuf,
    life: Life,
}

impl Decoy {
    /// Starts the session's application as the session's user on one of its hosts.
    pub fn on(host: &Host, number: usize) -> Decoy {
        let log = host.log(&format!("decoy-{number}"));
        let mut command = match &host.user {
            Some(user) => {
                let mut command = Command::new("nsenter");
                let (holder, user) = (host.remote.holder().to_string(), user.uid.to_string());
                command.args(["-t", &holder, "--net", "--mount", "-S", &user, "-G", &user]).arg(host.remote.app());
                command
            }
            None => Command::new(host.remote.app()),
        };
        command.arg("record").arg(&log).arg("1000").env(MARK, host.remote.mark());
        Decoy::start(command, host.remote.local(&log))
    }

    /// Starts a decoy on the near side, beside the manager.
    pub fn beside(near: &Near) -> Decoy {
        let log = near.scratch().join("decoy.log");
        let mut command = Command::new(test_app());
        command.arg("record").arg(&log).arg("1000").env(MARK, near.mark());
        Decoy::start(command, log)
    }

    fn start(mut command: Command, log: PathBuf) -> Decoy {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let life = wait_until("a decoy", DEADLINE, || recorder::read(&log).pop());
        Decoy { child, log, life }
    }

    pub fn pid(&self) -> i32 {
        self.life.pid
    }

    /// Returns a complaint if the decoy got a signal or has ended.
    pub fn complaint(&self) -> Option<String> {
        let life = recorder::read(&self.log).pop()?;
        match life.signals.as_slice() {
            [] if life.is_alive() => None,
            signals => {
                Some(format!("a decoy, pid {}, got signals {signals:?}; it is alive: {}", life.pid, life.is_alive()))
            }
        }
    }
}

impl Drop for Decoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
