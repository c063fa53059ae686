//! How a process ended: who ended it or observed its exit, the exit code, and what that means.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::model::signal::Signal;

/// Who ended the process, or who observed that it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitSource {
    /// The ssh client or its connection ended, and nobody had asked the process to end.
    ClientMonitoring,
    /// The remote process ended by itself, or was ended there by somebody else.
    RemoteMonitoring,
    /// The manager ended the process by closing or killing its ssh client: it cancelled a start, or was dropped.
    ManualKillThroughSshClient,
    /// The manager ended the process by signals to the remote pid.
    ManualKillThroughRemotePid,
}

impl ExitSource {
    /// Returns the name that logs use: `client_monitoring`, `remote_monitoring`, `manual_kill_through_ssh_client` or
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
    /// The start was cancelled before there was a client.
    NotStarted,
    /// The client has not ended, or the host program has reaped it.
    Unseen,
    /// The exit code of the client, or minus the number of the signal that ended it.
    Seen(i32),
}

/// The exit of the application as the wrapper reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ApplicationEnd {
    /// 0 to 255; 128+n if signal n ended the application.
    pub code: i32,
    pub signal: Option<Signal>,
    pub core_dumped: bool,
    /// The application left members of its process group behind, and the wrapper killed them.
    pub left_over: bool,
    /// The time of the exit by the host's clock; `None` if the exit was reported at once.
    pub at: Option<SystemTime>,
}

/// How a process ended.
///
/// | source | raw code | reported code |
/// |---|---|---|
/// | client monitoring | 255, −3 (SIGQUIT), −9 (SIGKILL) | none |
/// | client monitoring | other | the ssh client's code |
/// | remote monitoring | the application's code | the application's code |
/// | manual kill through the ssh client | 0, 255, −3, −9 | none |
/// | manual kill through the ssh client | other | the ssh client's code |
/// | manual kill through the remote pid | the application's code | the application's code |
/// | any | not seen, or the end is unknown because the link was lost | none |
///
/// An application's code is 0 to 255, and 128+n if signal n ended the application. With a launcher other than ssh, the
/// launcher's client on this machine counts as the ssh client. If the link was lost, the client's exit code counts as
/// not seen, unless a signal ended the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitStatus {
    source: ExitSource,
    client: ClientEnd,
    application: Option<ApplicationEnd>,
    link_lost: bool,
    /// The description of the process, for the message.
    process: Arc<str>,
    /// When this machine learned of the exit.
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

    /// Returns the number that [`Manager::start_process`] or [`Manager::adopt_process`] returned for the process: it
    /// distinguishes the starts of one uuid. 0 in [`FoundState::Ended`](crate::FoundState::Ended), which belongs to no
    /// start of this manager.
    ///
    /// [`Manager::start_process`]: crate::Manager::start_process
    /// [`Manager::adopt_process`]: crate::Manager::adopt_process
    pub fn start_number(&self) -> u64 {
        self.start_number
    }

    /// Returns the pids, on its host, of processes that the application started and that could not be ended with it,
    /// although [`kill_tree`](crate::BootRequest::kill_tree) was set: those of another user, for example.
    pub fn strays(&self) -> &[i64] {
        &self.strays
    }

    /// Returns who ended the process, or who observed that it ended.
    pub fn source(&self) -> ExitSource {
        self.source
    }

    /// Returns the exit code as it was seen; `None` if it was not seen. For the two sources that name the client it is
    /// the exit code of the ssh client, 0 to 255, or minus the number of the signal that ended the client. For the
    /// other two it is the exit code of the application.
    pub fn raw_code(&self) -> Option<i32> {
        match (self.is_through_client(), self.client) {
            (true, ClientEnd::Seen(code)) => Some(code),
            (true, ClientEnd::NotStarted | ClientEnd::Unseen) => None,
            (false, _) => self.application_code(),
        }
    }

    /// Returns the exit code to show and to judge by, which is the reported code in the table of [`ExitStatus`]. `None`
    /// if the raw code says nothing about the application.
    pub fn code(&self) -> Option<i32> {
        match (self.source, self.raw_code()) {
            // The client of a kept process ends with 0 when its channel does, whatever happened to the application.
            _ if self.is_unknown() => None,
            (ExitSource::ClientMonitoring | ExitSource::ManualKillThroughSshClient, Some(255 | -3 | -9)) => None,
            (ExitSource::ManualKillThroughSshClient, Some(0)) => None,
            (_, raw) => raw,
        }
    }

    /// Returns the application's own exit code, 0 to 255, whatever the source; `None` if it is not known. It can be
    /// known although the link was lost, because the remote side writes it to a file.
    pub fn application_code(&self) -> Option<i32> {
        self.application.map(|end| end.code)
    }

    /// Returns the signal that ended the application; `None` if it ended by itself, or if that is not known.
    ///
    /// An application that calls exit(137) and one that KILL ended both have code 137. Only the host's `/bin/sh` can
    /// distinguish them: dash, ksh, mksh, yash and busybox do. bash and zsh do not, and no shell does for INT and PIPE;
    /// then a code of 128+n counts as signal n, as is usual.
    pub fn signal(&self) -> Option<Signal> {
        self.application.and_then(|end| end.signal)
    }

    /// Returns whether the signal made the application dump core. Only some shells report this as the host's `/bin/sh`:
    /// dash, mksh and busybox do; with others it is false.
    pub fn core_dumped(&self) -> bool {
        self.application.is_some_and(|end| end.core_dumped)
    }

    /// Returns whether the application left members of its process group behind, which sshpm then killed.
    pub fn left_over(&self) -> bool {
        self.application.is_some_and(|end| end.left_over)
    }

    /// Returns when the process ended; `None` if that is not known. If the exit was reported at once, it is the time by
    /// this machine's clock at which the report came, some milliseconds after the exit. If the manager learned of the
    /// exit later, it is the time by the host's clock, in whole seconds.
    pub fn ended_at(&self) -> Option<SystemTime> {
        match self.application {
            Some(ApplicationEnd { at: Some(at), .. }) => Some(at),
            _ if self.link_lost => None,
            _ => Some(self.seen_at),
        }
    }

    /// Returns whether the link was lost before the exit was known.
    pub fn link_lost(&self) -> bool {
        self.link_lost
    }

    /// Returns whether the exit itself could not be determined: the link was lost, and the host did not answer in time
    /// or did not know the exit, for example because it was rebooted or somebody killed the wrapper.
    pub fn is_unknown(&self) -> bool {
        self.application.is_none() && (self.client == ClientEnd::Unseen || self.link_lost)
    }

    /// Returns what the source and the raw code mean, as a clause for a log.
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

/// Writes the line for a log: process, session, user, sentence and code, and what else is known.
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
            write!(f, "; processes that it started and that could not be ended: {:?}", self.strays)?;
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
