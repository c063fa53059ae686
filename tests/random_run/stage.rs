//! Where the run takes place: the host, and the directories of the managers and of the applications.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{OUTPUT, SSH_CONFIG, WAY};
use crate::support::{self, MARK, ProcessInfo, Remote, install, isolated_command, random_hex};

/// The name of the host for all managers.
pub const HOST: &str = "alpha";
/// The path of this program on a host that has its own file system.
const PLACE: &str = "/run/remote/random_run";

/// How a manager reaches its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By ssh, over shared connections.
    Shared,
    /// By ssh, over shared connections, without a client for each process.
    Bare,
    /// By ssh, with a connection for each process.
    Alone,
    /// The manager runs on the host itself and uses no ssh.
    Local,
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Way::Shared => "shared",
            Way::Bare => "bare",
            Way::Alone => "alone",
            Way::Local => "local",
        }
    }
}

pub struct Stage {
    pub remote: Remote,
    /// The directory in which the managers keep ssh's sockets.
    near: PathBuf,
    /// The program that becomes a manager, as the host sees it.
    program: PathBuf,
    test: &'static str,
    /// Marks the environment of everything that the run starts here, as opposed to what it starts on the host.
    mark: String,
}

impl Stage {
    /// `test` is the name of the test that becomes a manager's process.
    pub fn set(test: &'static str) -> Stage {
        // Many clients log in at the same time.
        let remote = Remote::builder().sshd_option("MaxStartups 100:30:200").start();
        let near = remote.dir().join("near");
        fs::create_dir(&near).unwrap();
        let own = std::env::current_exe().unwrap();
        let program = match remote.users().len() {
            1 => own,
            _ => {
                install(&own, &remote.local(Path::new(PLACE)), 0o755);
                PathBuf::from(PLACE)
            }
        };
        Stage { remote, near, program, test, mark: random_hex() }
    }

    /// Makes a directory on the host. Returns its path on the host, and its path as the suite sees it.
    fn directory(&self, name: &str) -> (PathBuf, PathBuf) {
        let there = self.remote.scratch().join(name);
        let here = self.remote.local(&there);
        fs::create_dir_all(&here).unwrap();
        fs::set_permissions(&here, Permissions::from_mode(0o1777)).unwrap();
        (there, here)
    }

    /// Returns the path of a file for an application on the host, and its path as the suite sees it.
    pub fn file(&self, name: &str) -> (PathBuf, PathBuf) {
        let (there, here) = self.directory("applications");
        (there.join(name), here.join(name))
    }

    /// Returns the command that runs this program again as a manager, and the directory in which that manager puts
    /// output.
    pub fn manager_command(&self, number: usize, way: Way) -> (Command, PathBuf) {
        let (there, here) = self.directory(&format!("output-{number}"));
        let mut again = isolated_command(self.test);
        again.env(WAY, way.word());
        if way != Way::Local {
            again.env(SSH_CONFIG, self.remote.ssh_config()).env(OUTPUT, &here);
            again.env("TMPDIR", &self.near).env("XDG_RUNTIME_DIR", &self.near).env(MARK, &self.mark);
            return (again, here);
        }
        // Through a login, the manager gets the environment of the host, and whatever it starts counts as the host's.
        let mut script = format!("exec env {OUTPUT}='{}'", there.display());
        for (name, value) in again.get_envs().filter_map(|(name, value)| Some((name, value?))) {
            script += &format!(" {}='{}'", name.to_string_lossy(), value.to_string_lossy());
        }
        script += &format!(" '{}'", self.program.display());
        for argument in again.get_args() {
            script += &format!(" '{}'", argument.to_string_lossy());
        }
        let mut command = self.remote.ssh(HOST);
        command.arg(script);
        (command, here)
    }

    /// Returns the files that are left in the directory of ssh's sockets.
    pub fn sockets(&self) -> Vec<PathBuf> {
        support::files_below(&self.near)
    }

    /// Returns the managers' processes that live here, and the processes that they have started.
    pub fn processes(&self) -> Vec<ProcessInfo> {
        // -1 is no process: here only the mark counts.
        support::of_remote(-1, &self.mark)
    }
}
