//! The faults: what each is called, how it is done and undone.

use std::fmt;
use std::time::Duration;

use crate::child::{LEASE, LOST_TIMEOUT};

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

/// What is sent to a victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Kill,
    /// It stands still for longer than the lease, where it has to do with one.
    Stop,
    /// It stood still for a moment, and goes on.
    Cont,
}

/// What a start has of its own, or of the session, in its first moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Client,
    Session,
    /// Any of the shells on the host: link, wrapper, reader, who attends to them, and what becomes the application.
    Shell,
    Manager,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Signal(Sent, Victim),
    /// Around the wrapper's `begin`.
    EarlyKill(Part),
    /// An application ends while nobody reads what it wrote, and then the link breaks.
    UnreadEnd,
    /// For less or more than the lease.
    LinkDown,
    /// For longer than the manager asks after anybody: what ends then can be unknown.
    LinkCut,
    Dropped,
    Delayed,
    DiskFull,
    ClockForward,
    ClockBack,
    RemoteDescriptors,
    RemoteProcesses,
    /// The user may have a few processes more, none, and as many as before, in turn.
    RemoteQuota,
    /// No file of the shells that run may grow.
    FileSize,
    LocalDescriptors,
    LocalProcesses,
    Race,
    /// The manager stands still, another one adopts its kept processes, and it goes on.
    Supplanted,
    /// The manager is killed, and two others adopt its kept processes at the same time.
    Contested,
}

use Sent::*;
use Victim::*;

/// Those that one host has for itself.
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

/// Those that all hosts share.
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
    /// Whether the manager is gone behind it.
    pub fn kills_manager(self) -> bool {
        matches!(self, Fault::Signal(Kill, Manager) | Fault::EarlyKill(Part::Manager) | Fault::Contested)
    }

    /// How long it lasts before it is undone; `at_random` is from 0 to 99.
    pub fn lasts(self, at_random: u32) -> Duration {
        match self {
            Fault::Signal(Kill, _) => Duration::from_millis(300),
            Fault::Signal(Cont, _) => Duration::from_millis(300),
            Fault::Signal(Stop, Master | Session | Manager) => LEASE + Duration::from_millis(2500),
            Fault::Signal(Stop, _) => Duration::from_secs(1),
            Fault::LinkDown => Duration::from_millis(300) + (LEASE + Duration::from_millis(2500)) * at_random / 100,
            // Noticed after the lease.
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

    /// Whether a host may have no room to keep word of an end.
    pub fn starves(self) -> bool {
        use Fault::*;
        matches!(self, RemoteDescriptors | RemoteProcesses | RemoteQuota | FileSize | DiskFull)
    }

    /// Whether what it takes away shows best when something is started.
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
            Fault::UnreadEnd => "link broken behind an unread end",
            Fault::RemoteQuota => "processes come and go there",
            Fault::FileSize => "file size limited there",
            Fault::Supplanted => "manager supplanted by another",
            Fault::Contested => "two managers adopt at once",
            Fault::LinkDown => "link down and up",
            Fault::LinkCut => "link down past the last question",
            Fault::Dropped => "packets dropped",
            Fault::Delayed => "packets delayed",
            Fault::DiskFull => "disk full",
            Fault::ClockForward => "clock set forth",
            Fault::ClockBack => "clock set back",
            Fault::RemoteDescriptors => "descriptors exhausted there",
            Fault::RemoteProcesses => "processes exhausted there",
            Fault::LocalDescriptors => "descriptors exhausted here",
            Fault::LocalProcesses => "processes exhausted here",
            Fault::Race => "start and kill raced by 8",
        })
    }
}
