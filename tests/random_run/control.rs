//! Connects the suite with one manager's process: sends it commands, and puts its answers and reports on the board.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use crate::board::{Board, Key};
use crate::program::MARK;
use crate::report::Report;
use crate::stage::{Stage, Way};
use crate::support::ProcessInfo;

/// How long a manager's process may take to begin.
const BEGINNING: Duration = Duration::from_secs(30);
/// How long any command may take. Longer than all timeouts in a command.
pub const ANSWER: Duration = Duration::from_secs(200);

pub struct Control {
    /// Identifies the manager in the whole run.
    pub number: usize,
    pub way: Way,
    child: Mutex<Child>,
    process: ProcessInfo,
    stdin: Mutex<Option<ChildStdin>>,
    next: AtomicU64,
    board: Arc<Board>,
    reader: Mutex<Option<JoinHandle<()>>>,
    /// The manager is about to be detached or killed, or has been.
    leaving: AtomicBool,
    /// When the manager was killed, if it was.
    killed: OnceLock<SystemTime>,
    /// The directory in which the manager puts output, as the suite sees it.
    pub output: PathBuf,
}

/// A command that has not been answered yet.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    manager: usize,
    number: u64,
}

impl Control {
    pub fn start(stage: &Stage, board: &Arc<Board>, number: usize, way: Way) -> Control {
        let (mut command, output) = stage.manager_command(number, way);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let notes = Arc::clone(board);
        let reader = thread::spawn(move || {
            read(stdout, number, &notes);
            notes.gone(number);
        });
        let hello = board.wait(BEGINNING, |state| state.take_reply(number, 0)).expect("a manager's process begins");
        let process = ProcessInfo::of(hello.parse().unwrap()).expect("a manager's process");
        Control {
            number,
            way,
            child: Mutex::new(child),
            process,
            stdin: Mutex::new(stdin),
            next: AtomicU64::new(1),
            board: Arc::clone(board),
            reader: Mutex::new(Some(reader)),
            leaving: AtomicBool::new(false),
            killed: OnceLock::new(),
            output,
        }
    }

    pub fn ask(&self, words: &str) -> Question {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(stdin) = self.stdin.lock().unwrap().as_mut() {
            // A killed manager reads nothing. `wait` notices that the answer is missing.
            let _ = stdin.write_all(format!("{number} {words}\n").as_bytes());
        }
        Question { manager: self.number, number }
    }

    /// Waits for the answer and returns it. Returns an error, with its name as the first word, if no answer comes or if
    /// the answer is an error.
    pub fn wait(&self, asked: Question) -> Result<String, String> {
        assert_eq!(asked.manager, self.number);
        let answer = self.board.wait(ANSWER, |state| match state.take_reply(asked.manager, asked.number) {
            Some(text) => Some(Ok(text)),
            None if state.is_gone(asked.manager) => Some(Err("Gone: the manager has ended".to_owned())),
            None => None,
        });
        match answer {
            Some(Ok(text)) => text.strip_prefix("error ").map_or(Ok(text.clone()), |error| Err(error.to_owned())),
            Some(Err(gone)) => Err(gone),
            None => Err("Silent: the manager does not answer".to_owned()),
        }
    }

    pub fn call(&self, words: &str) -> Result<String, String> {
        self.wait(self.ask(words))
    }

    /// Kills the manager's process, and waits until everything that it wrote is on the board.
    pub fn kill(&self) {
        self.leaving.store(true, Ordering::Release);
        let _ = self.killed.set(SystemTime::now());
        let _ = self.process.signal(libc::SIGKILL);
        self.reap();
    }

    /// Returns whether the manager is about to be detached or killed, or has been. Its reports can then be due to that.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    pub fn was_killed(&self) -> bool {
        self.killed_at().is_some()
    }

    pub fn killed_at(&self) -> Option<SystemTime> {
        self.killed.get().copied()
    }

    /// Detaches the manager from all processes, and waits until its process has ended. Returns an error if one of the
    /// two fails.
    pub fn detach(&self) -> Result<(), String> {
        self.leaving.store(true, Ordering::Release);
        let detached = self.call("detach");
        drop(self.stdin.lock().unwrap().take());
        let status = self.child.lock().unwrap().wait();
        self.reap();
        match (detached, status) {
            (Ok(_), Ok(status)) if status.success() => Ok(()),
            (detached, status) => Err(format!(
                "a manager did not end well: it answered {detached:?}, and its process returned {status:?}"
            )),
        }
    }

    fn reap(&self) {
        let _ = self.child.lock().unwrap().wait();
        if let Some(reader) = self.reader.lock().unwrap().take() {
            reader.join().unwrap();
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        drop(self.stdin.lock().unwrap().take());
        let _ = self.process.signal(libc::SIGKILL);
        self.reap();
    }
}

fn read(stdout: ChildStdout, manager: usize, board: &Board) {
    let mut lines = BufReader::new(stdout).split(b'\n');
    while let Some(Ok(line)) = lines.next() {
        let line = String::from_utf8_lossy(&line).into_owned();
        let Some(line) = line.strip_prefix(MARK) else { continue };
        let mut parts = line.splitn(2, ' ');
        match (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) {
            ("hello", pid) => board.reply(manager, 0, pid.to_owned()),
            ("reply", rest) => {
                let (number, text) = rest.split_once(' ').unwrap_or((rest, ""));
                board.reply(manager, number.parse().unwrap(), text.to_owned());
            }
            ("report", rest) => {
                let words: Vec<&str> = rest.splitn(3, ' ').collect();
                let key = Key { manager, start: words[0].parse().unwrap() };
                let mut report =
                    Report::parse(words[2]).unwrap_or_else(|| panic!("a line that the suite does not know: {line:?}"));
                if let Report::Ended { lived, .. } = &mut report {
                    // This is checked now, because a moment later the application could have ended.
                    *lived = is_alive(board, &key, words[1]);
                }
                board.report(key, report);
            }
            _ => panic!("a line that the suite does not know: {line:?}"),
        }
    }
}

/// Returns whether the application that was reported as started still lives. Another process can have its pid by now,
/// but hardly one with this uuid in its command line.
fn is_alive(board: &Board, key: &Key, uuid: &str) -> bool {
    let pid_of = |report: &Report| if let Report::Started { pid } = report { Some(*pid) } else { None };
    let pid = board.reports(key).iter().find_map(pid_of);
    let process = pid.and_then(ProcessInfo::of).filter(|process| !process.is_zombie());
    process.is_some_and(|process| process.cmdline.iter().any(|word| word.to_string_lossy().contains(uuid)))
}
