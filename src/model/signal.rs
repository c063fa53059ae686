//! Signals by name and number.

use std::fmt;
use std::str::FromStr;

use crate::model::error::{Error, Result};

/// A signal, by the number that it has on this machine.
///
/// sshpm sends the signals of POSIX to the remote host by name, because their numbers differ between systems. It sends
/// all others, such as the real-time signals, by number.
///
/// ```
/// let signal: sshpm::Signal = "SIGQUIT".parse()?;
/// assert_eq!(signal, sshpm::Signal::QUIT);
/// assert_eq!(signal.to_string(), "QUIT");
/// # Ok::<(), sshpm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

/// The signals of POSIX.1-2017, `<signal.h>`: every `kill` knows these names.
const NAMES: [(&str, i32); 28] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("POLL", libc::SIGIO),
    ("SYS", libc::SIGSYS),
];

/// Linux numbers its signals from 1 to 64.
const LAST: i32 = 64;

impl Signal {
    /// SIGHUP.
    pub const HUP: Signal = Signal(libc::SIGHUP);
    /// SIGINT.
    pub const INT: Signal = Signal(libc::SIGINT);
    /// SIGQUIT, which the default kill sequence sends first.
    pub const QUIT: Signal = Signal(libc::SIGQUIT);
    /// SIGTERM.
    pub const TERM: Signal = Signal(libc::SIGTERM);
    /// SIGKILL.
    pub const KILL: Signal = Signal(libc::SIGKILL);
    /// SIGCONT.
    pub const CONT: Signal = Signal(libc::SIGCONT);
    /// SIGSTOP.
    pub const STOP: Signal = Signal(libc::SIGSTOP);
    /// SIGUSR1.
    pub const USR1: Signal = Signal(libc::SIGUSR1);
    /// SIGUSR2.
    pub const USR2: Signal = Signal(libc::SIGUSR2);

    /// Returns the signal of a number from 1 to 64.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other number.
    pub fn from_number(number: i32) -> Result<Signal> {
        match number {
            1..=LAST => Ok(Signal(number)),
            _ => Err(Error::invalid("signal", number.to_string(), "must be a name, or a number from 1 to 64")),
        }
    }

    /// Returns the number of the signal on this machine.
    pub fn number(self) -> i32 {
        self.0
    }
}

/// Reads a name, with or without `SIG` and in upper or lower case, or a number.
impl FromStr for Signal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Signal> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(Signal(*number));
        }
        let number = text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        number.map_or_else(
            || Err(Error::invalid("signal", text, "must be a POSIX name such as QUIT, or a number from 1 to 64")),
            Signal::from_number,
        )
    }
}

/// Writes the name without `SIG`, or the number if POSIX has no name for the signal.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_and_all_else_is_refused() {
        for text in ["QUIT", "SIGQUIT", "sigquit", "3"] {
            assert_eq!(text.parse::<Signal>().unwrap(), Signal::QUIT);
        }
        assert_eq!("34".parse::<Signal>().unwrap().to_string(), "34");
        for text in ["", "SIG", "QUITE", "0", "65", "-9", "+9", "9 ", "KILL;reboot"] {
            assert!(
                matches!(text.parse::<Signal>(), Err(Error::Invalid { field, .. }) if field == "signal"),
                "{text:?}"
            );
        }
    }
}
