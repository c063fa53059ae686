//! Other programs that run a command on many hosts. Each runs `true` as often as sshpm boots processes.
//!
//! None of them shares connections by itself, so each has as many connections at once as sshd accepts without dropping
//! one. Each "host" is an alias, because most tools accept a host only once.

use std::fs;
use std::process::Command;
use std::time::Instant;

use crate::rig::Rig;
use crate::samples::Samples;

/// A tool that may be installed.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    pub name: &'static str,
    /// The names under which it may be installed.
    programs: &'static [&'static str],
    /// The name of its time in the JSON object.
    pub key: &'static str,
    arguments: fn(&Rig, &mut Command, hosts: &[String]),
    /// Its command line for the table. %P stands for the number of connections at once.
    pub how: &'static str,
}

pub const TOOLS: [Tool; 4] = [
    Tool { name: "pdsh", programs: &["pdsh"], key: "pdsh_s", arguments: pdsh, how: "pdsh -R ssh -f %P" },
    Tool { name: "clush", programs: &["clush"], key: "clush_s", arguments: clush, how: "clush -f %P" },
    Tool {
        name: "GNU parallel",
        programs: &["parallel"],
        key: "parallel_s",
        arguments: parallel,
        how: "parallel -j %P ssh",
    },
    Tool {
        name: "parallel-ssh",
        programs: &["parallel-ssh", "pssh"],
        key: "parallel_ssh_s",
        arguments: parallel_ssh,
        how: "parallel-ssh -p %P",
    },
];

/// The file with the hosts for parallel-ssh, in the remote's directory.
const HOSTS_FILE: &str = "bench_hosts";

impl Tool {
    /// Returns the name under which the tool is installed. `None` if it is not.
    pub fn program(&self) -> Option<&'static str> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let installed = |program: &&&str| std::env::split_paths(&path).any(|place| place.join(program).is_file());
        self.programs.iter().find(installed).copied()
    }

    pub fn measure(&self, rig: &Rig, processes: usize, samples: &mut Samples) -> Result<(), String> {
        let Some(program) = self.program() else { return Ok(()) };
        let hosts: Vec<_> = (0..processes).map(|number| format!("{}-{number}", rig.host(number))).collect();
        let mut command = rig.command(program);
        // The places of the files that a tool keeps for its user, or reads.
        command.env("HOME", rig.dir()).env("PARALLEL_HOME", rig.dir().join("parallel"));
        (self.arguments)(rig, &mut command, &hosts);
        fs::write(rig.dir().join(HOSTS_FILE), hosts.join("\n") + "\n").map_err(|e| format!("{HOSTS_FILE}: {e}"))?;
        let logins = rig.logins()?;
        let begin = Instant::now();
        let status = command.status().map_err(|error| format!("{program}: {error}"))?;
        let time = begin.elapsed();
        let made = rig.logins()? - logins;
        if !status.success() || made != processes {
            return Err(format!("{}: {status}, with {made} of {processes} logins", self.name));
        }
        samples.add(self.key, time.as_secs_f64());
        Ok(())
    }
}

fn pdsh(rig: &Rig, command: &mut Command, hosts: &[String]) {
    // PDSH_SSH_ARGS replaces pdsh's own options, which name a user. -S: pdsh returns the exit code of the sessions.
    command.env("PDSH_SSH_ARGS", format!("{} %h", rig.ssh_arguments().join(" ")));
    command.args(["-S", "-R", "ssh", "-f", &rig.at_once().to_string(), "-w", &hosts.join(","), "true"]);
}

fn clush(rig: &Rig, command: &mut Command, hosts: &[String]) {
    // -n: clush does not read our input. -S: clush returns the exit code of the sessions.
    command.args(["-n", "-S", "-f", &rig.at_once().to_string(), "-o", &rig.ssh_arguments().join(" ")]);
    command.args(["-w", &hosts.join(","), "true"]);
}

fn parallel(rig: &Rig, command: &mut Command, hosts: &[String]) {
    command.args(["--will-cite", "-j", &rig.at_once().to_string(), "ssh"]).args(rig.ssh_arguments());
    command.args(["{}", "true", ":::"]).args(hosts);
}

fn parallel_ssh(rig: &Rig, command: &mut Command, _hosts: &[String]) {
    command.args(["-h", HOSTS_FILE, "-p", &rig.at_once().to_string(), "-t", "0"]);
    command.args(["-x", &rig.ssh_arguments().join(" "), "true"]);
}
