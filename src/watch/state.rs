//! The states of a process, and what each input does in each.
//!
//! | | begin | pid | running | start failed | exit | client ended | start timeout | kill | release | given up | restored | restored starting | detach |
//! |---|---|---|---|---|---|---|---|---|---|---|---|---|---|
//! | Connecting | Begun: go | · | · | Failed | Failed | Failed | Expiring: close, kill client | Cancelling: close, kill client | Cancelling: close, kill client | · | · | · | Cancelling: close, kill client |
//! | Begun | · | Starting | · | Failed | Failed | LinkLost: announce lost | TimingOut: close | Closing: close | Closing: close | · | · | · | Closing: close |
//! | Starting | · | · | Running: announce started | Failed | Failed | LinkLost: announce lost | TimingOut: close | Ending | Closing: close | · | · | · | Closing: close |
//! | Running | · | · | · | · | Ended | LinkLost: announce lost | · | Ending | Closing: close | · | · | · | Detached |
//! | Ending | · | · | announce started | Failed | Ended | LinkLost: announce lost | · | · | Closing: close | · | · | · | Detached |
//! | Cancelling | · | · | · | · | · | Ended | · | · | · | · | · | · | · |
//! | Expiring | · | · | · | · | · | Failed | · | · | · | · | · | · | · |
//! | Closing | · | · | announce started | Failed | Ended | LinkLost: announce lost | · | · | · | · | · | · | · |
//! | TimingOut | · | · | · | Failed | Failed | LinkLost: announce lost | · | · | · | · | · | · | · |
//! | LinkLost | · | · | announce started | Failed | Ended | · | · | · | Ended | Ended | Running: announce restored | Starting: announce restored | Detached |
//! | Ended | · | · | · | · | · | · | · | · | · | · | · | · | · |
//! | Failed | · | · | · | · | · | · | · | · | · | · | · | · | · |
//! | Detached | · | · | · | · | · | · | · | · | · | · | · | · | · |
//!
//! A cell has the next state, and then the actions. `·` means that nothing changes.
//!
//! A process is *Connecting* also while it waits for a seat and has no client yet: then a kill ends the wait, which
//! counts as *client ended*.
//!
//! Nothing runs on the host until the wrapper has reported `begin` and got its `go`: until then, killing the client
//! takes the start back. *Cancelling* (after a kill or a release) and *Expiring* (after the start timeout) wait for the
//! end of that client.
//!
//! From *Begun* on, only the wrapper knows what runs. To take the start back, the manager closes the lifeline, the
//! wrapper ends the application, and the manager announces what the wrapper reports. *Closing* (after a kill before the
//! pid is known, or after a release) and *TimingOut* (after the start timeout) wait for that report. If the client ends
//! without one, the link is lost, as in all states from Begun on: the manager then asks the host.
//!
//! Callers see Begun as `Connecting`, and Cancelling, Expiring, Closing and TimingOut as `Ending`. The exit of a
//! process in Cancelling or Closing counts as a manual kill through the ssh client. The wrapper reports `start failed`
//! only when the start has failed by itself, even if a kill came in the meantime. If an exit report says that the
//! program ran and the state is Starting, the manager takes `running` first: two processes of the wrapper send the two
//! reports, in either order.
//!
//! *Restored*: a kept process has a link again. *Restored starting*: it has a link again, and its setup is not done.
//! *Detach*: the manager lets go of a kept process; a process whose start is not done ends as if it were not kept.
//! Callers see a detached process as `LinkLost`.

/// Where a process is between its start and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProcessState {
    /// The client of ssh or of another launcher is being started, or the remote side is not ready.
    Connecting,
    /// The remote pid is known, and the setup lines run.
    Starting,
    /// The application runs.
    Running,
    /// The manager has asked the process to end, or takes its start back. The process stays in this state until it has
    /// ended, even if the kill gave up: a signal cannot be taken back.
    Ending,
    /// The link broke. The manager asks the host how the application ended, or restores the link of a kept
    /// process.
    LinkLost,
    /// The process has ended. The manager keeps its exit status until the process is killed, popped, forgotten or
    /// replaced.
    Ended,
    /// The start failed. The manager keeps the error until the process is killed, popped, forgotten or replaced.
    Failed,
    /// The process has ended or its start has failed, and it will be started again: its
    /// [`RestartPolicy`](crate::RestartPolicy) pauses before that, or a call restarts it. The uuid is in use.
    Restarting,
}

/// The states of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    Connecting,
    Begun,
    Starting,
    Running,
    Ending,
    Cancelling,
    Expiring,
    Closing,
    TimingOut,
    LinkLost,
    Ended,
    Failed,
    Detached,
}

/// What can happen to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// The wrapper has reported that it runs. It waits for its `go`.
    Begin,
    /// The wrapper has reported the remote pid.
    Pid,
    /// The wrapper has reported that the program was executed.
    Running,
    /// The wrapper has reported that the start failed.
    StartFailed,
    /// The host has reported the exit.
    Exit,
    /// The client ended without an exit report.
    ClientEnded,
    /// The time of the start is over.
    StartTimeout,
    /// A kill begins.
    Kill,
    /// The manager lets go of a process that is not kept.
    Release,
    /// The exit of a lost process is unknown.
    GivenUp,
    /// A kept process has a link again.
    Restored,
    /// A kept process has a link again, and its program was not executed yet.
    RestoredStarting,
    /// The manager lets go of a kept process.
    Detach,
}

/// What else an input makes the manager do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    SendGo,
    CloseLifeline,
    KillClient,
    AnnounceStarted,
    AnnounceLost,
    AnnounceRestored,
}

/// Returns the cell of the table: the next state and the actions. Only this function decides on states.
pub(crate) fn decide(state: State, input: Input) -> (State, &'static [Action]) {
    use Action::*;
    use Input as I;
    use State as S;
    match (state, input) {
        (S::Connecting, I::Begin) => (S::Begun, &[SendGo]),
        (S::Connecting, I::StartFailed | I::Exit | I::ClientEnded) => (S::Failed, &[]),
        (S::Connecting, I::StartTimeout) => (S::Expiring, &[CloseLifeline, KillClient]),
        (S::Connecting, I::Kill | I::Release | I::Detach) => (S::Cancelling, &[CloseLifeline, KillClient]),
        (S::Connecting, I::Pid | I::Running | I::GivenUp | I::Restored | I::RestoredStarting) => (S::Connecting, &[]),

        (S::Begun, I::Pid) => (S::Starting, &[]),
        (S::Begun, I::StartFailed | I::Exit) => (S::Failed, &[]),
        (S::Begun, I::StartTimeout) => (S::TimingOut, &[CloseLifeline]),
        (S::Begun, I::Kill | I::Release | I::Detach) => (S::Closing, &[CloseLifeline]),
        (S::Begun, I::Begin | I::Running | I::GivenUp | I::Restored | I::RestoredStarting) => (S::Begun, &[]),

        (S::Starting, I::Running) => (S::Running, &[AnnounceStarted]),
        (S::Starting, I::StartFailed | I::Exit) => (S::Failed, &[]),
        (S::Starting, I::StartTimeout) => (S::TimingOut, &[CloseLifeline]),
        (S::Starting, I::Kill) => (S::Ending, &[]),
        (S::Starting, I::Release | I::Detach) => (S::Closing, &[CloseLifeline]),
        (S::Starting, I::Begin | I::Pid | I::GivenUp | I::Restored | I::RestoredStarting) => (S::Starting, &[]),

        (S::Running, I::Exit) => (S::Ended, &[]),
        (S::Running, I::Kill) => (S::Ending, &[]),
        (S::Running, I::Release) => (S::Closing, &[CloseLifeline]),
        (S::Running, I::Detach) => (S::Detached, &[]),
        (
            S::Running,
            I::Begin
            | I::Pid
            | I::Running
            | I::StartFailed
            | I::StartTimeout
            | I::GivenUp
            | I::Restored
            | I::RestoredStarting,
        ) => (S::Running, &[]),

        (S::Ending, I::Running) => (S::Ending, &[AnnounceStarted]),
        (S::Ending, I::StartFailed) => (S::Failed, &[]),
        (S::Ending, I::Exit) => (S::Ended, &[]),
        (S::Ending, I::Release) => (S::Closing, &[CloseLifeline]),
        (S::Ending, I::Detach) => (S::Detached, &[]),
        (S::Ending, I::Begin | I::Pid | I::StartTimeout | I::Kill | I::GivenUp | I::Restored | I::RestoredStarting) => {
            (S::Ending, &[])
        }

        (S::Cancelling, I::ClientEnded) => (S::Ended, &[]),
        (S::Cancelling, _) => (S::Cancelling, &[]),

        (S::Expiring, I::ClientEnded) => (S::Failed, &[]),
        (S::Expiring, _) => (S::Expiring, &[]),

        (S::Closing, I::Running) => (S::Closing, &[AnnounceStarted]),
        (S::Closing, I::StartFailed) => (S::Failed, &[]),
        (S::Closing, I::Exit) => (S::Ended, &[]),

        (S::TimingOut, I::StartFailed | I::Exit) => (S::Failed, &[]),

        (S::Begun | S::Starting | S::Running | S::Ending | S::Closing | S::TimingOut, I::ClientEnded) => {
            (S::LinkLost, &[AnnounceLost])
        }
        (S::Closing, _) => (S::Closing, &[]),
        (S::TimingOut, _) => (S::TimingOut, &[]),

        (S::LinkLost, I::Running) => (S::LinkLost, &[AnnounceStarted]),
        (S::LinkLost, I::StartFailed) => (S::Failed, &[]),
        (S::LinkLost, I::Restored) => (S::Running, &[AnnounceRestored]),
        (S::LinkLost, I::RestoredStarting) => (S::Starting, &[AnnounceRestored]),
        (S::LinkLost, I::Exit | I::Release | I::GivenUp) => (S::Ended, &[]),
        (S::LinkLost, I::Detach) => (S::Detached, &[]),
        (S::LinkLost, I::Begin | I::Pid | I::ClientEnded | I::StartTimeout | I::Kill) => (S::LinkLost, &[]),

        (S::Ended | S::Failed | S::Detached, _) => (state, &[]),
    }
}

impl State {
    pub(crate) const ALL: [State; 13] = [
        State::Connecting,
        State::Begun,
        State::Starting,
        State::Running,
        State::Ending,
        State::Cancelling,
        State::Expiring,
        State::Closing,
        State::TimingOut,
        State::LinkLost,
        State::Ended,
        State::Failed,
        State::Detached,
    ];

    /// Returns what callers see.
    pub(crate) fn shown(self) -> ProcessState {
        match self {
            State::Connecting | State::Begun => ProcessState::Connecting,
            State::Starting => ProcessState::Starting,
            State::Running => ProcessState::Running,
            State::Ending | State::Cancelling | State::Expiring | State::Closing | State::TimingOut => {
                ProcessState::Ending
            }
            State::LinkLost | State::Detached => ProcessState::LinkLost,
            State::Ended => ProcessState::Ended,
            State::Failed => ProcessState::Failed,
        }
    }

    /// Returns whether the start can still time out.
    pub(crate) fn is_starting(self) -> bool {
        matches!(self, State::Connecting | State::Begun | State::Starting)
    }

    /// Returns whether the state never changes again.
    pub(crate) fn is_settled(self) -> bool {
        matches!(self, State::Ended | State::Failed | State::Detached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUTS: [Input; 13] = [
        Input::Begin,
        Input::Pid,
        Input::Running,
        Input::StartFailed,
        Input::Exit,
        Input::ClientEnded,
        Input::StartTimeout,
        Input::Kill,
        Input::Release,
        Input::GivenUp,
        Input::Restored,
        Input::RestoredStarting,
        Input::Detach,
    ];

    fn cell(state: State, input: Input) -> String {
        let (next, actions) = decide(state, input);
        let words = actions.iter().map(|action| match action {
            Action::SendGo => "go",
            Action::CloseLifeline => "close",
            Action::KillClient => "kill client",
            Action::AnnounceStarted => "announce started",
            Action::AnnounceLost => "announce lost",
            Action::AnnounceRestored => "announce restored",
        });
        let done = words.collect::<Vec<_>>().join(", ");
        match (next == state, done.is_empty()) {
            (true, true) => "·".to_owned(),
            (true, false) => done,
            (false, true) => format!("{next:?}"),
            (false, false) => format!("{next:?}: {done}"),
        }
    }

    #[test]
    fn the_table_in_the_docs_is_what_is_decided() {
        let rows: Vec<&str> =
            include_str!("state.rs").lines().filter(|line| line.starts_with("//! | ")).skip(1).collect();
        assert_eq!(rows.len(), State::ALL.len());
        for (state, row) in State::ALL.into_iter().zip(rows) {
            let cells = INPUTS.map(|input| cell(state, input)).join(" | ");
            assert_eq!(row, format!("//! | {state:?} | {cells} |"));
        }
    }

    #[test]
    fn a_settled_process_never_changes_and_a_settling_input_leaves_no_way_back() {
        for state in State::ALL.into_iter().filter(|state| state.is_settled()) {
            for input in INPUTS {
                assert_eq!(decide(state, input), (state, [].as_slice()));
            }
        }
    }
}
