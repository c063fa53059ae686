//! ssh clients that the floors are made of.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Clients that run; those that are left when it is dropped are killed and waited for.
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

    /// Waits for all; an error when one of them failed.
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
            // Its only error is that it has been waited for already.
            let _ = child.kill();
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}

/// A remote command that tells its pid and stays until its input ends, which it does with the client.
pub const STAY: &str = "echo $$; exec cat";

/// As [`STAY`] needs it.
pub fn with_pipes(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::piped()).stdout(Stdio::piped())
}

/// The pid that [`STAY`] tells.
pub fn told_pid(child: &mut Child) -> Result<i32, String> {
    let mut line = String::new();
    let output = child.stdout.take().ok_or("a client without output")?;
    BufReader::new(output).read_line(&mut line).map_err(|error| format!("a client's output: {error}"))?;
    line.trim().parse().map_err(|_| format!("a raw ssh session said {line:?}, not a pid"))
}
