//! Raw ssh clients, with which the floors are measured.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Running clients. Dropping it kills those that are left, and reaps them.
#[derive(Default)]
pub struct Clients(Vec<Child>);

impl Clients {
    pub fn spawn(&mut self, command: &mut Command) -> Result<&mut Child, String> {
        let child = command.spawn().map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
        self.0.push(child);
        self.0.last_mut().ok_or("there is one".to_owned())
    }

    pub fn pids(&self) -> impl Iterator<Item = i32> {
        self.0.iter().map(|child| child.id() as i32)
    }

    /// Waits for all clients. Returns an error if one of them failed.
    pub fn wait(&mut self) -> Result<(), String> {
        let count = self.0.len();
        let failed =
            self.0.drain(..).map(|mut child| child.wait()).filter(|end| !end.as_ref().is_ok_and(|s| s.success()));
        match failed.count() {
            0 => Ok(()),
            failed => Err(format!("{failed} of {count} raw ssh clients failed")),
        }
    }

    pub fn children(&mut self) -> &mut [Child] {
        &mut self.0
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // kill fails only if the child has been reaped already.
            let _ = child.kill();
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}

/// A remote command that prints its pid and runs until its input ends, which happens when the client ends.
pub const STAY: &str = "echo $$; exec cat";

/// Gives a command the pipes that [`STAY`] needs.
pub fn with_pipes(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::piped()).stdout(Stdio::piped())
}

/// Reads the pid that [`STAY`] prints.
pub fn read_pid(child: &mut Child) -> Result<i32, String> {
    let mut line = String::new();
    let output = child.stdout.take().ok_or("a client has no output")?;
    BufReader::new(output).read_line(&mut line).map_err(|error| format!("cannot read a client's output: {error}"))?;
    line.trim().parse().map_err(|_| format!("a raw ssh session wrote {line:?} in place of a pid"))
}
