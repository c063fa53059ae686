//! The faults: their names, how long each lasts, and what follows from it.

use std::fmt;
use std::time::Duration;

use crate::child::{LEASE, LOST_TIMEOUT};

/// The process that a fault sends signals to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Client,
    Master,
    Session,
    Listener,
    Wrapper,
    Reader,
    Manager,
}

/// The signals that a fault sends to its victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Kill,
    /// STOP, and CONT after more than the lease if the lease depends on the victim, else after a second.
    Stop,
    /// STOP, and CONT after a moment.
    Cont,
}

/// What is killed in the first moments of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Client,
    Session,
    /// Any shell of the start on the host: the link, the wrapper, the reader, the shell that attends to the reader, or
    /// the shell that becomes the application.
    Shell,
    Manager,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Signal(Sent, Victim),
    /// A part of some starts is killed around the wrapper's report `begin`.
    EarlyKill(Part),
    /// An application exits while nobody reads its output, and then the link breaks.
    UnreadEnd,
    /// The network link is down, for less or more than the lease.
    LinkDown,
    /// The network link is down for longer than the manager queries the host. An exit in this time can be unknown.
    LinkCut,
    Dropped,
    Delayed,
    DiskFull,
    ClockForward,
    ClockBack,
    RemoteDescriptors,
    RemoteProcesses,
    /// The user's quota of processes changes again and again: some more, none more, as many as before.
    RemoteQuota,
    /// No shell that runs may make a file larger.
    FileSize,
    LocalDescriptors,
    LocalProcesses,
    Race,
    /// The manager is stopped, another one adopts its kept processes, and the manager continues.
    Supplanted,
    /// The manager is killed, and two others adopt its kept processes at the same time.
    Contested,
}

use Sent::*;
use Victim::*;

/// The faults that each host has separately.
pub const OF_A_HOST: [Fault; 33] = [
    Fault::Signal(Kill, Client),
    Fault::Signal(Stop, Client),
    Fault::Signal(Cont, Client),
    Fault::Signal(Kill, Master),
    Fault::Signal(Stop, Master),
    Fault::Signal(Cont, Master),
    Fault::Signal(Kill, Session),
    Fault::Signal(Stop, Session),
    Fault::Signal(Cont, Session),
    Fault::Signal(Kill, Listener),
    Fault::Signal(Stop, Listener),
    Fault::Signal(Cont, Listener),
    Fault::Signal(Kill, Wrapper),
    Fault::Signal(Stop, Wrapper),
    Fault::Signal(Cont, Wrapper),
    Fault::Signal(Kill, Reader),
    Fault::Signal(Stop, Reader),
    Fault::Signal(Cont, Reader),
    Fault::LinkDown,
    Fault::Dropped,
    Fault::Delayed,
    Fault::DiskFull,
    Fault::ClockForward,
    Fault::ClockBack,
    Fault::RemoteDescriptors,
    Fault::RemoteProcesses,
    Fault::RemoteQuota,
    Fault::FileSize,
    Fault::Race,
    Fault::EarlyKill(Part::Client),
    Fault::EarlyKill(Part::Session),
    Fault::EarlyKill(Part::Shell),
    Fault::UnreadEnd,
];

/// The faults of the manager, which all hosts have at the same time.
pub const OF_ALL: [Fault; 8] = [
    Fault::Signal(Kill, Manager),
    Fault::Signal(Stop, Manager),
    Fault::Signal(Cont, Manager),
    Fault::LocalDescriptors,
    Fault::LocalProcesses,
    Fault::EarlyKill(Part::Manager),
    Fault::Supplanted,
    Fault::Contested,
];

impl Fault {
    /// Whether the fault kills the manager.
    pub fn kills_manager(self) -> bool {
        matches!(self, Fault::Signal(Kill, Manager) | Fault::EarlyKill(Part::Manager) | Fault::Contested)
    }

    /// Whether the fault kills shells of wrappers. Their manager then removes what they leave.
    pub fn kills_shells(self) -> bool {
        matches!(self, Fault::Signal(Kill, Wrapper | Reader) | Fault::EarlyKill(Part::Shell))
    }

    /// Returns how long the fault lasts before it is undone. `at_random` is a random number from 0 to 99.
    pub fn lasts(self, at_random: u32) -> Duration {
        match self {
            Fault::Signal(Kill, _) => Duration::from_millis(300),
            Fault::Signal(Cont, _) => Duration::from_millis(300),
            Fault::Signal(Stop, Master | Session | Manager) => LEASE + Duration::from_millis(2500),
            Fault::Signal(Stop, _) => Duration::from_secs(1),
            Fault::LinkDown => Duration::from_millis(300) + (LEASE + Duration::from_millis(2500)) * at_random / 100,
            // The manager notices the loss after the lease, and then queries the host for LOST_TIMEOUT.
            Fault::LinkCut => LEASE * 2 + LOST_TIMEOUT,
            Fault::Dropped | Fault::Delayed => Duration::from_millis(2500),
            Fault::DiskFull | Fault::ClockForward | Fault::ClockBack => Duration::from_secs(1),
            Fault::RemoteDescriptors | Fault::RemoteProcesses => Duration::from_millis(1500),
            Fault::LocalDescriptors | Fault::LocalProcesses => Duration::from_millis(1500),
            Fault::RemoteQuota | Fault::FileSize => Duration::from_millis(1500),
            Fault::EarlyKill(_) | Fault::UnreadEnd | Fault::Contested => Duration::from_millis(300),
            Fault::Supplanted => Fault::Signal(Stop, Manager).lasts(at_random),
            Fault::Race => Duration::ZERO,
        }
    }

    /// Whether the host may have no room to record an exit.
    pub fn starves(self) -> bool {
        use Fault::*;
        matches!(self, RemoteDescriptors | RemoteProcesses | RemoteQuota | FileSize | DiskFull)
    }

    /// Whether the fault shows best when a process is started.
    pub fn hits_starts(self) -> bool {
        use Fault::*;
        matches!(
            self,
            DiskFull
                | RemoteDescriptors
                | RemoteProcesses
                | RemoteQuota
                | LocalDescriptors
                | LocalProcesses
                | Delayed
                | Dropped
        ) || matches!(self, Signal(_, Listener))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Signal(sent, victim) => {
                let sent = match sent {
                    Kill => "kill -9",
                    Stop => "kill -STOP",
                    Cont => "kill -CONT",
                };
                let victim = match victim {
                    Client => "ssh client",
                    Master => "master",
                    Session => "sshd session",
                    Listener => "sshd listener",
                    Wrapper => "wrapper",
                    Reader => "reader",
                    Manager => "manager",
                };
                return write!(f, "{sent} {victim}");
            }
            Fault::EarlyKill(part) => {
                let part = match part {
                    Part::Client => "ssh client",
                    Part::Session => "sshd session",
                    Part::Shell => "shell",
                    Part::Manager => "manager",
                };
                return write!(f, "kill -9 {part} at begin");
            }
            Fault::UnreadEnd => "link broken after an unread exit",
            Fault::RemoteQuota => "process quota changes on host",
            Fault::FileSize => "file size limited on host",
            Fault::Supplanted => "stopped manager replaced by another",
            Fault::Contested => "two managers adopt at the same time",
            Fault::LinkDown => "link down and up",
            Fault::LinkCut => "link down beyond the lost timeout",
            Fault::Dropped => "packets dropped",
            Fault::Delayed => "packets delayed",
            Fault::DiskFull => "disk full",
            Fault::ClockForward => "clock set forward",
            Fault::ClockBack => "clock set back",
            Fault::RemoteDescriptors => "descriptors exhausted on host",
            Fault::RemoteProcesses => "processes exhausted on host",
            Fault::LocalDescriptors => "descriptors exhausted at manager",
            Fault::LocalProcesses => "processes exhausted at manager",
            Fault::Race => "8 threads start and kill",
        })
    }
}
