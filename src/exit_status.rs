//! How a process ended: who saw it, with what code, and what it means.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::signal::Signal;

/// By whose hand or whose eyes the end of a process came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitSource {
    /// The ssh client or its connection ended under a process that nobody had asked to end.
    ClientMonitoring,
    /// The remote process ended by itself, or was ended there by somebody else.
    RemoteMonitoring,
    /// The manager ended it by closing or killing its ssh client: it took back a start, or was dropped.
    ManualKillThroughSshClient,
    /// The manager ended it by signals to the remote pid.
    ManualKillThroughRemotePid,
}

impl ExitSource {
    /// The name that logs use: `client_monitoring`, `remote_monitoring`, `manual_kill_through_ssh_client` or
    /// `manual_kill_through_remote_pid`.
    pub fn as_str(self) -> &'static str {
        match self {
            ExitSource::ClientMonitoring => "client_monitoring",
            ExitSource::RemoteMonitoring => "remote_monitoring",
            ExitSource::ManualKillThroughSshClient => "manual_kill_through_ssh_client",
            ExitSource::ManualKillThroughRemotePid => "manual_kill_through_remote_pid",
        }
    }
}

impl fmt::Display for ExitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the client, of ssh or of another launcher, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientEnd {
    /// There was none: the start was cancelled before.
    NotStarted,
    /// It has not ended, or the host program has reaped it.
    Unseen,
    /// Its code, or minus its signal.
    Seen(i32),
}

/// What the wrapper said of the application's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ApplicationEnd {
    /// 0 to 255; 128+n for death by signal n.
    pub code: i32,
    pub signal: Option<Signal>,
    pub core_dumped: bool,
    /// Members of its process group were left, and were killed.
    pub left_over: bool,
    /// When, by its host's clock; known where it was not told at once.
    pub at: Option<SystemTime>,
}

/// How a process ended.
///
/// | source | raw code | reported code |
/// |---|---|---|
/// | client monitoring | 255, −3 (SIGQUIT), −9 (SIGKILL) | none |
/// | client monitoring | other | the ssh client's code |
/// | remote monitoring | the application's code | the same |
/// | manual kill through the ssh client | 0, 255, −3, −9 | none |
/// | manual kill through the ssh client | other | the ssh client's code |
/// | manual kill through the remote pid | the application's code | the same |
/// | any | not seen, or the end is unknown because the link was lost | none |
///
/// An application's code is 0 to 255, and 128+n when signal n ended it. With another launcher than ssh, its client on this machine counts
/// as the ssh client; what it ended with when the link was lost is not seen, unless it was a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitStatus {
    source: ExitSource,
    client: ClientEnd,
    application: Option<ApplicationEnd>,
    link_lost: bool,
    /// Who it was, for the message.
    process: Arc<str>,
    /// When it was known.
    seen_at: SystemTime,
    strays: Arc<[i64]>,
    start_number: u64,
}

impl ExitStatus {
    pub(crate) fn new(
        source: ExitSource,
        client: ClientEnd,
        application: Option<ApplicationEnd>,
        link_lost: bool,
        process: Arc<str>,
    ) -> ExitStatus {
        ExitStatus {
            source,
            client,
            application,
            link_lost,
            process,
            seen_at: SystemTime::now(),
            strays: Arc::default(),
            start_number: 0,
        }
    }

    pub(crate) fn of_start(self, start_number: u64) -> ExitStatus {
        ExitStatus { start_number, ..self }
    }

    pub(crate) fn with_strays(self, strays: &[i64]) -> ExitStatus {
        ExitStatus { strays: strays.into(), ..self }
    }

    /// Which start of its uuid the process was: the number that [`Manager::start_process`] or
    /// [`Manager::adopt_process`] returned for it. 0 in [`FoundState::Ended`](crate::FoundState::Ended), which no start
    /// of this manager belongs to.
    ///
    /// [`Manager::start_process`]: crate::Manager::start_process
    /// [`Manager::adopt_process`]: crate::Manager::adopt_process
    pub fn start_number(&self) -> u64 {
        self.start_number
    }

    /// The pids, on its host, of processes that it started and that could not be ended with it, although
    /// [`kill_tree`](crate::BootRequest::kill_tree) asked for it: another user's, for one.
    pub fn strays(&self) -> &[i64] {
        &self.strays
    }

    /// By whose hand or eyes the end is known.
    pub fn source(&self) -> ExitSource {
        self.source
    }

    /// The code as it was seen. Of the ssh client for the two sources that go through it: 0 to 255, or minus the number
    /// of the signal that ended the client. Of the application for the other two. `None` where it was not seen.
    pub fn raw_code(&self) -> Option<i32> {
        match (self.is_through_client(), self.client) {
            (true, ClientEnd::Seen(code)) => Some(code),
            (true, ClientEnd::NotStarted | ClientEnd::Unseen) => None,
            (false, _) => self.application_code(),
        }
    }

    /// The code to show and to judge by, as the table above has it. `None` where the raw code says nothing about the
    /// application.
    pub fn code(&self) -> Option<i32> {
        match (self.source, self.raw_code()) {
            // The client of one that is kept ends with 0 when its session does, whatever became of the application.
            _ if self.is_unknown() => None,
            (ExitSource::ClientMonitoring | ExitSource::ManualKillThroughSshClient, Some(255 | -3 | -9)) => None,
            (ExitSource::ManualKillThroughSshClient, Some(0)) => None,
            (_, raw) => raw,
        }
    }

    /// The application's own code, 0 to 255, where it is known, whatever the source: it can be known although the
    /// link was lost, because the remote side leaves it in a file.
    pub fn application_code(&self) -> Option<i32> {
        self.application.map(|end| end.code)
    }

    /// The signal that ended the application.
    ///
    /// `exit 137` and death by SIGKILL are both code 137. They are told apart where the host's `/bin/sh` tells them apart:
    /// dash, ksh, mksh, yash and busybox do. bash and zsh do not, and no shell does for INT and PIPE: there, a code of
    /// 128+n counts as signal n, as is usual.
    pub fn signal(&self) -> Option<Signal> {
        self.application.and_then(|end| end.signal)
    }

    /// Whether the signal made the application dump core, where the host's `/bin/sh` tells (dash, mksh and busybox do).
    pub fn core_dumped(&self) -> bool {
        self.application.is_some_and(|end| end.core_dumped)
    }

    /// Whether the application left members of its process group behind, which were then killed.
    pub fn left_over(&self) -> bool {
        self.application.is_some_and(|end| end.left_over)
    }

    /// When it ended: by this machine's clock when the end was told at once, which takes some milliseconds; by its host's clock, in whole
    /// seconds, when it was learned from the host later. `None` where that is not known.
    pub fn ended_at(&self) -> Option<SystemTime> {
        match self.application {
            Some(ApplicationEnd { at: Some(at), .. }) => Some(at),
            _ if self.link_lost => None,
            _ => Some(self.seen_at),
        }
    }

    /// Whether the link was lost before the end was known.
    pub fn link_lost(&self) -> bool {
        self.link_lost
    }

    /// Whether the end itself could not be determined: the link was lost and the host did not answer in time.
    pub fn is_unknown(&self) -> bool {
        self.application.is_none() && (self.client == ClientEnd::Unseen || self.link_lost)
    }

    /// What it means, as a clause for a log.
    pub fn sentence(&self) -> &'static str {
        match (self.source, self.raw_code()) {
            (_, None) if self.client == ClientEnd::NotStarted => "ended by the manager before ssh was started",
            (ExitSource::ManualKillThroughSshClient, None) if self.application.is_some() => {
                "ended by the manager through the ssh client"
            }
            (ExitSource::ClientMonitoring, None) if self.application.is_some() => {
                "ended unexpectedly, with its ssh client"
            }
            (_, None) => "its end could not be determined",
            (ExitSource::ClientMonitoring, Some(255 | -3)) => {
                "ended unexpectedly by SIGQUIT to the ssh client (hang-up on the remote side)"
            }
            (ExitSource::ClientMonitoring, Some(-9)) => "ended unexpectedly by SIGKILL to the ssh client",
            (ExitSource::ClientMonitoring, Some(_)) => "ended unexpectedly with an unusual code of the ssh client",
            (ExitSource::RemoteMonitoring, Some(_)) => {
                "ended unexpectedly through the remote pid (by itself, or killed there)"
            }
            (ExitSource::ManualKillThroughSshClient, Some(0 | 255 | -3)) => {
                "ended by the manager through the ssh client"
            }
            (ExitSource::ManualKillThroughSshClient, Some(-9)) => {
                "ended by the manager with SIGKILL through the ssh client"
            }
            (ExitSource::ManualKillThroughSshClient, Some(_)) => {
                "ended by the manager through the ssh client, with an unusual code"
            }
            (ExitSource::ManualKillThroughRemotePid, Some(_)) => "ended by the manager through the remote pid",
        }
    }

    fn is_through_client(&self) -> bool {
        matches!(self.source, ExitSource::ClientMonitoring | ExitSource::ManualKillThroughSshClient)
    }
}

/// The line for the log: process, session, user, sentence and code, and what else is known.
impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.process, self.sentence())?;
        match self.code() {
            Some(code) => write!(f, "; exit code {code}")?,
            None => f.write_str("; no exit code")?,
        }
        if let Some(signal) = self.signal() {
            write!(f, "; signal {signal}{}", if self.core_dumped() { ", core dumped" } else { "" })?;
        }
        if self.link_lost {
            f.write_str("; the link was lost")?;
        }
        if let (true, Some(code)) = (self.is_through_client(), self.application_code()) {
            write!(f, "; the application's own code was {code}")?;
        }
        if self.left_over() {
            f.write_str("; what it left in its process group was killed")?;
        }
        if !self.strays.is_empty() {
            write!(f, "; what it started and could not be ended: {:?}", self.strays)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(code: i32) -> Option<ApplicationEnd> {
        Some(ApplicationEnd { code, signal: None, core_dumped: false, left_over: false, at: None })
    }

    #[test]
    fn the_table_of_reported_codes_holds() {
        use ExitSource::*;
        for (source, client, application, code, clause) in [
            (ClientMonitoring, Some(255), None, None, "unexpectedly by SIGQUIT"),
            (ClientMonitoring, Some(-3), None, None, "unexpectedly by SIGQUIT"),
            (ClientMonitoring, Some(-9), end(0), None, "unexpectedly by SIGKILL"),
            (ClientMonitoring, Some(7), None, Some(7), "unusual code"),
            (ClientMonitoring, None, None, None, "could not be determined"),
            (RemoteMonitoring, Some(0), end(42), Some(42), "through the remote pid"),
            (RemoteMonitoring, Some(255), end(255), Some(255), "through the remote pid"),
            (ManualKillThroughSshClient, Some(255), None, None, "manager through the ssh client"),
            (ManualKillThroughSshClient, Some(0), None, None, "manager through the ssh client"),
            (ManualKillThroughSshClient, Some(-9), None, None, "manager with SIGKILL"),
            (ManualKillThroughSshClient, Some(129), end(129), Some(129), "unusual code"),
            (ManualKillThroughRemotePid, None, end(0), Some(0), "manager through the remote pid"),
            (ManualKillThroughRemotePid, Some(255), None, None, "could not be determined"),
        ] {
            let client = client.map_or(ClientEnd::Unseen, ClientEnd::Seen);
            let status = ExitStatus::new(source, client, application, false, "p".into());
            assert_eq!(status.code(), code, "{status:?}");
            assert!(status.sentence().contains(clause), "{status:?}: {}", status.sentence());
        }
    }

    #[test]
    fn an_unknown_end_has_no_code_whatever_the_ssh_client_ended_with() {
        for client in [0, 7, 255] {
            let client = ClientEnd::Seen(client);
            let status = ExitStatus::new(ExitSource::ClientMonitoring, client, None, true, "p".into());
            assert!(status.is_unknown() && status.code().is_none(), "{status}");
        }
    }
}
