//! Plans, drawn at random: how a start is to go, and which calls are made about the process.

use std::path::Path;

use serde_json::json;

use crate::dice::Dice;
use crate::seats::ManagerEnd;
use crate::stage::HOST;

/// How the application ends when nobody ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Exit(i32),
    Raise(i32),
    Wait,
}

/// Whether the start succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Runs,
    NoProgram,
    NoDirectory,
    /// The third setup line exits with this code.
    SetupFails(i32),
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub fate: Fate,
    pub keep: bool,
    pub log_file: bool,
    pub setup: bool,
    /// A timeout in seconds, so short that the start may not finish in time.
    pub start_timeout: Option<f64>,
    pub key: u64,
    /// How many bytes the application writes to stdout and to stderr.
    pub sizes: [u64; 2],
    /// The time over which the application spreads these bytes, in milliseconds.
    pub time: u64,
    pub ending: Ending,
    /// Commands for the manager that started the process, most of them with a delay. The lane replaces "UUID" and
    /// "OTHER" by uuids.
    pub commands: Vec<String>,
    pub manager_end: Option<ManagerEnd>,
}

/// Signals that end a program without a core file.
const RAISED: [i32; 4] = [libc::SIGTERM, libc::SIGKILL, libc::SIGALRM, libc::SIGUSR2];
const SENT: [i32; 5] = [libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2, libc::SIGKILL];
/// The stages of a start at which calls are made. Most calls are made while the application runs.
const STAGES: [&str; 8] = ["now", "client", "remote", "running", "running", "running", "running", "running"];

impl Plan {
    pub fn draw(dice: &mut Dice) -> Plan {
        let fate = match dice.below(18) {
            0 => Fate::NoProgram,
            1 => Fate::NoDirectory,
            2 => Fate::SetupFails(1 + dice.below(99) as i32),
            _ => Fate::Runs,
        };
        let ending = match dice.below(4) {
            0 => Ending::Wait,
            1 => Ending::Raise(*dice.pick(&RAISED)),
            _ => Ending::Exit(dice.below(100) as i32),
        };
        let keep = dice.below(5) < 2;
        let manager_end = manager_end(dice, keep);
        let count = if manager_end.is_some() { dice.below(2) } else { [0, 1, 1, 2, 3][dice.below(5)] };
        Plan {
            fate,
            keep,
            log_file: dice.below(4) == 0,
            setup: dice.below(3) == 0,
            start_timeout: (dice.below(20) == 0).then(|| (1 + dice.below(300)) as f64 / 1000.0),
            key: dice.next(),
            sizes: [(); 2].map(|()| size(dice)),
            // With 0, the application writes everything just before it ends: that output is the last to arrive.
            time: match dice.below(3) {
                0 => 0,
                _ => dice.below(if manager_end.is_some() { 1000 } else { 300 }) as u64,
            },
            ending,
            commands: (0..count).map(|_| command(dice)).collect(),
            manager_end,
        }
    }

    /// Returns the boot request as the JSON that the library reads.
    pub fn request(&self, app: &Path, log: &Path, log_file: &Path) -> String {
        let ending = match self.ending {
            Ending::Exit(code) => format!("exit:{code}"),
            Ending::Raise(signal) => format!("raise:{signal}"),
            Ending::Wait => "wait".to_owned(),
        };
        let program = if self.fate == Fate::NoProgram { Path::new("/nonexistent/program") } else { app };
        let [out, err] = self.sizes;
        let words =
            format!("{} enact {} {} {out} {err} {} {ending}", program.display(), log.display(), self.key, self.time);
        let mut request = json!({
            "host": HOST,
            "argv": words.split(' ').collect::<Vec<_>>(),
            "link_loss": if self.keep { "keep" } else { "terminate" },
            "grace": 2.0,
            // A busy machine can be slow.
            "start_timeout": self.start_timeout.unwrap_or(100.0),
        });
        let third = match self.fate {
            Fate::SetupFails(code) => format!("(exit {code})"),
            _ => "sleep 0.05".to_owned(),
        };
        if self.setup || matches!(self.fate, Fate::SetupFails(_)) {
            request["setup"] = json!([":", "X=1", third]);
        }
        if self.fate == Fate::NoDirectory {
            request["working_directory"] = json!("/nonexistent/directory");
        }
        if self.log_file {
            request["log_file"] = json!(log_file);
        }
        request.to_string()
    }
}

fn size(dice: &mut Dice) -> u64 {
    match dice.below(4) {
        0 => 0,
        1 => dice.below(300) as u64,
        2 => dice.below(30_000) as u64,
        _ => dice.below(300_000) as u64,
    }
}

/// Draws whether and how the manager ends. It seldom does so for a process that is not kept: many lanes share a
/// manager, and its end affects the processes of all of them.
pub fn manager_end(dice: &mut Dice, keep: bool) -> Option<ManagerEnd> {
    match dice.below(if keep { 12 } else { 200 }) {
        0 => Some(ManagerEnd::Kill),
        1 => Some(ManagerEnd::Detach),
        _ => None,
    }
}

/// Draws a delay in microseconds. Most delays are shorter than a start.
fn delay(dice: &mut Dice) -> usize {
    match dice.below(3) {
        0 => dice.below(300_000),
        1 => dice.below(20_000),
        _ => dice.below(1000),
    }
}

/// Draws a call at some moment of a process's life.
pub fn command(dice: &mut Dice) -> String {
    let timeout = *dice.pick(&[0, 20, 300, 2000, 10_000]);
    let call = match dice.below(20) {
        0..6 => format!("kill UUID {timeout}"),
        6..8 => format!("kill-many {timeout} UUID OTHER"),
        8 => format!("kill-client UUID {timeout}"),
        9..12 => format!("signal UUID {}", *dice.pick(&SENT)),
        // For some milliseconds, the host has reported the exit and the manager has not yet read all of the output.
        12..15 => return format!("at dead {} UUID strike UUID", dice.below(50_000)),
        15..17 => "strike UUID".to_owned(),
        17 => "pop UUID".to_owned(),
        18 => "forget UUID".to_owned(),
        _ => format!("wait UUID {timeout}"),
    };
    format!("at {} {} UUID {call}", *dice.pick(&STAGES), delay(dice))
}
