//! The states of a process, and what each input does in each.
//!
//! | | pid | running | start failed | exit | client ended | start timeout | kill | release | given up | back | back starting | detach |
//! |---|---|---|---|---|---|---|---|---|---|---|---|---|
//! | Connecting | Starting | · | Failed | Failed | Failed | Expiring: close, kill client | Cancelling: close, kill client | Cancelling: close, kill client | · | · | · | Cancelling: close, kill client |
//! | Starting | · | Running: tell started | Failed | Failed | LinkLost: tell lost | Expiring: close | Ending | Cancelling: close | · | · | · | Cancelling: close |
//! | Running | · | · | · | Ended | LinkLost: tell lost | · | Ending | Cancelling: close | · | · | · | Detached |
//! | Ending | · | tell started | Ended | Ended | LinkLost: tell lost | · | · | Cancelling: close | · | · | · | Detached |
//! | Cancelling | · | · | Ended | Ended | Ended | · | · | · | · | · | · | · |
//! | Expiring | · | · | Failed | Failed | Failed | · | · | · | · | · | · | · |
//! | LinkLost | · | tell started | Failed | Ended | · | · | · | Ended | Ended | Running: tell restored | Starting: tell restored | Detached |
//! | Ended | · | · | · | · | · | · | · | · | · | · | · | · |
//! | Failed | · | · | · | · | · | · | · | · | · | · | · | · |
//! | Detached | · | · | · | · | · | · | · | · | · | · | · | · |
//!
//! The cells: the next state, and what is done. `·`: nothing. *Cancelling* is a start that was killed before there was a pid, or any
//! process whose manager lets go of it: its lifeline is closed, and its end counts as a manual kill through the ssh client. *Expiring* is a
//! start whose time is over, until its remote side is gone. Both are shown to callers as `Ending`. An exit of which the
//! wrapper says that the program had run, in state Starting, is first `running` and then `exit`: the two reports come from
//! two processes, and the exit may be first.
//!
//! *Back*: a process that is kept has a link again; *back starting*: its setup is not done, because only its link's shell had ended. *Detach*: the manager lets go of one that is kept, and of one whose start is not
//! done as of any other. A detached one is none of this manager's any more; callers see it as `LinkLost`.

/// Where a process is between its start and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProcessState {
    /// ssh, or another launcher, is being started, or the remote side is not ready yet.
    Connecting,
    /// The remote pid is known; the setup lines run.
    Starting,
    /// The application runs.
    Running,
    /// It was asked to end, or its start is being taken back. It stays so until it has ended, also when a kill gave up:
    /// a signal cannot be taken back.
    Ending,
    /// The link broke; what became of the application is being found out.
    LinkLost,
    /// It has ended; how is kept until it is killed, forgotten, or started again.
    Ended,
    /// It did not come to run; why is kept likewise.
    Failed,
}

/// The states of the table above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    Connecting,
    Starting,
    Running,
    Ending,
    Cancelling,
    Expiring,
    LinkLost,
    Ended,
    Failed,
    Detached,
}

/// What can happen to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// The remote pid was reported.
    Pid,
    /// The program was executed.
    Running,
    /// The start was reported as failed.
    StartFailed,
    /// The end was reported.
    Exit,
    /// The ssh client ended, and no end was reported.
    ClientEnded,
    /// The time for the start is over.
    StartTimeout,
    /// A kill begins.
    Kill,
    /// The manager lets go.
    Release,
    /// The end of a lost process could not be learned.
    GivenUp,
    /// The link to a process that is kept was restored.
    Back,
    /// The same, and its program was not executed yet.
    BackStarting,
    /// The manager lets go of a process that is kept.
    Detach,
}

/// What has to be done beside changing the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    CloseLifeline,
    KillClient,
    TellStarted,
    TellLost,
    TellRestored,
}

/// The table above: the only place where states change.
pub(crate) fn decide(state: State, input: Input) -> (State, &'static [Action]) {
    use Action::*;
    use Input as I;
    use State as S;
    match (state, input) {
        (S::Connecting, I::Pid) => (S::Starting, &[]),
        (S::Connecting, I::StartFailed | I::Exit | I::ClientEnded) => (S::Failed, &[]),
        (S::Connecting, I::StartTimeout) => (S::Expiring, &[CloseLifeline, KillClient]),
        (S::Connecting, I::Kill | I::Release | I::Detach) => (S::Cancelling, &[CloseLifeline, KillClient]),
        (S::Connecting, I::Running | I::GivenUp | I::Back | I::BackStarting) => (S::Connecting, &[]),

        (S::Starting, I::Running) => (S::Running, &[TellStarted]),
        (S::Starting, I::StartFailed | I::Exit) => (S::Failed, &[]),
        (S::Starting, I::StartTimeout) => (S::Expiring, &[CloseLifeline]),
        (S::Starting, I::Kill) => (S::Ending, &[]),
        (S::Starting, I::Detach) => (S::Cancelling, &[CloseLifeline]),
        (S::Starting, I::Pid | I::GivenUp | I::Back | I::BackStarting) => (S::Starting, &[]),

        (S::Running, I::Exit) => (S::Ended, &[]),
        (S::Running, I::Kill) => (S::Ending, &[]),
        (
            S::Running,
            I::Pid | I::Running | I::StartFailed | I::StartTimeout | I::GivenUp | I::Back | I::BackStarting,
        ) => (S::Running, &[]),

        (S::Ending, I::Running) => (S::Ending, &[TellStarted]),
        (S::Ending, I::StartFailed | I::Exit) => (S::Ended, &[]),
        (S::Ending, I::Pid | I::StartTimeout | I::Kill | I::GivenUp | I::Back | I::BackStarting) => (S::Ending, &[]),

        (S::Starting | S::Running | S::Ending, I::ClientEnded) => (S::LinkLost, &[TellLost]),
        (S::Running | S::Ending | S::LinkLost, I::Detach) => (S::Detached, &[]),
        (S::Starting | S::Running | S::Ending, I::Release) => (S::Cancelling, &[CloseLifeline]),

        (S::Cancelling, I::StartFailed | I::Exit | I::ClientEnded) => (S::Ended, &[]),
        (S::Cancelling, _) => (S::Cancelling, &[]),

        (S::Expiring, I::StartFailed | I::Exit | I::ClientEnded) => (S::Failed, &[]),
        (S::Expiring, _) => (S::Expiring, &[]),

        (S::LinkLost, I::Running) => (S::LinkLost, &[TellStarted]),
        (S::LinkLost, I::StartFailed) => (S::Failed, &[]),
        (S::LinkLost, I::Back) => (S::Running, &[TellRestored]),
        (S::LinkLost, I::BackStarting) => (S::Starting, &[TellRestored]),
        (S::LinkLost, I::Exit | I::Release | I::GivenUp) => (S::Ended, &[]),
        (S::LinkLost, I::Pid | I::ClientEnded | I::StartTimeout | I::Kill) => (S::LinkLost, &[]),

        (S::Ended | S::Failed | S::Detached, _) => (state, &[]),
    }
}

impl State {
    pub(crate) const ALL: [State; 10] = [
        State::Connecting,
        State::Starting,
        State::Running,
        State::Ending,
        State::Cancelling,
        State::Expiring,
        State::LinkLost,
        State::Ended,
        State::Failed,
        State::Detached,
    ];

    pub(crate) fn shown(self) -> ProcessState {
        match self {
            State::Connecting => ProcessState::Connecting,
            State::Starting => ProcessState::Starting,
            State::Running => ProcessState::Running,
            State::Ending | State::Cancelling | State::Expiring => ProcessState::Ending,
            State::LinkLost | State::Detached => ProcessState::LinkLost,
            State::Ended => ProcessState::Ended,
            State::Failed => ProcessState::Failed,
        }
    }

    pub(crate) fn is_settled(self) -> bool {
        matches!(self, State::Ended | State::Failed | State::Detached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUTS: [Input; 12] = [
        Input::Pid,
        Input::Running,
        Input::StartFailed,
        Input::Exit,
        Input::ClientEnded,
        Input::StartTimeout,
        Input::Kill,
        Input::Release,
        Input::GivenUp,
        Input::Back,
        Input::BackStarting,
        Input::Detach,
    ];

    fn cell(state: State, input: Input) -> String {
        let (next, actions) = decide(state, input);
        let words = actions.iter().map(|action| match action {
            Action::CloseLifeline => "close",
            Action::KillClient => "kill client",
            Action::TellStarted => "tell started",
            Action::TellLost => "tell lost",
            Action::TellRestored => "tell restored",
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
