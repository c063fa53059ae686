//! What a start is to be and what is done to it, drawn by chance.

use std::path::Path;

use serde_json::json;

use crate::dice::Dice;
use crate::seats::Upset;
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
    /// The third line ends with this code.
    SetupFails(i32),
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub fate: Fate,
    pub keep: bool,
    pub log_file: bool,
    pub setup: bool,
    /// So short that the start may not be done by then.
    pub start_timeout: Option<f64>,
    pub key: u64,
    /// Bytes for stdout and stderr.
    pub sizes: [u64; 2],
    /// Over how many milliseconds they are spread.
    pub time: u64,
    pub ending: Ending,
    /// Commands to the manager that has begun it, each with its delay; "UUID" and "OTHER" are replaced.
    pub pokes: Vec<String>,
    pub upset: Option<Upset>,
}

/// Signals that end a program and make no core file.
const RAISED: [i32; 4] = [libc::SIGTERM, libc::SIGKILL, libc::SIGALRM, libc::SIGUSR2];
const SENT: [i32; 5] = [libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2, libc::SIGKILL];
/// How far a start is when a call is made: mostly it runs.
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
        let upset = upset(dice, keep);
        let count = if upset.is_some() { dice.below(2) } else { [0, 1, 1, 2, 3][dice.below(5)] };
        Plan {
            fate,
            keep,
            log_file: dice.below(4) == 0,
            setup: dice.below(3) == 0,
            start_timeout: (dice.below(20) == 0).then(|| (1 + dice.below(300)) as f64 / 1000.0),
            key: dice.next(),
            sizes: [(); 2].map(|()| size(dice)),
            // What is written just before the end is the last to arrive.
            time: match dice.below(3) {
                0 => 0,
                _ => dice.below(if upset.is_some() { 1000 } else { 300 }) as u64,
            },
            ending,
            pokes: (0..count).map(|_| poke(dice)).collect(),
            upset,
        }
    }

    /// As the library reads it.
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
            // A busy machine may take its time.
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

/// A manager is shared by many: what upsets it, upsets the processes of all of them.
pub fn upset(dice: &mut Dice, keep: bool) -> Option<Upset> {
    match dice.below(if keep { 12 } else { 200 }) {
        0 => Some(Upset::Kill),
        1 => Some(Upset::Detach),
        _ => None,
    }
}

/// In microseconds: most come within the time that a start takes.
fn delay(dice: &mut Dice) -> usize {
    match dice.below(3) {
        0 => dice.below(300_000),
        1 => dice.below(20_000),
        _ => dice.below(1000),
    }
}

/// A call at some moment of a process's life.
pub fn poke(dice: &mut Dice) -> String {
    let timeout = *dice.pick(&[0, 20, 300, 2000, 10_000]);
    let call = match dice.below(20) {
        0..6 => format!("kill UUID {timeout}"),
        6..8 => format!("kill-many {timeout} UUID OTHER"),
        8 => format!("kill-client UUID {timeout}"),
        9..12 => format!("signal UUID {}", *dice.pick(&SENT)),
        // The end has been reported by its host, and the output not all been read, for some milliseconds.
        12..15 => return format!("at dead {} UUID strike UUID", dice.below(50_000)),
        15..17 => "strike UUID".to_owned(),
        17 => "pop UUID".to_owned(),
        18 => "forget UUID".to_owned(),
        _ => format!("wait UUID {timeout}"),
    };
    format!("at {} {} UUID {call}", *dice.pick(&STAGES), delay(dice))
}
