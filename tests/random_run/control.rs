//! The suite's line to one manager's process: commands there, and to the board what it says.

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
/// How long any command may take: longer than all timeouts in it.
pub const ANSWER: Duration = Duration::from_secs(200);

pub struct Control {
    /// Names the manager for the whole run.
    pub number: usize,
    pub way: Way,
    child: Mutex<Child>,
    process: ProcessInfo,
    stdin: Mutex<Option<ChildStdin>>,
    next: AtomicU64,
    board: Arc<Board>,
    reader: Mutex<Option<JoinHandle<()>>>,
    /// It is about to let go of all, or to be killed, or has done so.
    leaving: AtomicBool,
    /// When it was killed, if it was.
    killed: OnceLock<SystemTime>,
    /// Where it puts output, as the suite sees it.
    pub output: PathBuf,
}

/// A command whose answer is to come.
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
            // A manager that was killed reads nothing; that its answer is missing is noticed where it is waited for.
            let _ = stdin.write_all(format!("{number} {words}\n").as_bytes());
        }
        Question { manager: self.number, number }
    }

    /// The answer; an error, with its name as the first word, when there is none or it is one.
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

    /// Kills the manager's process, and waits until all that it said is on the board.
    pub fn kill(&self) {
        self.leaving.store(true, Ordering::Release);
        let _ = self.killed.set(SystemTime::now());
        let _ = self.process.signal(libc::SIGKILL);
        self.bury();
    }

    /// Whether what it reports can be that it lets go.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    pub fn was_killed(&self) -> bool {
        self.killed_at().is_some()
    }

    pub fn killed_at(&self) -> Option<SystemTime> {
        self.killed.get().copied()
    }

    /// Has the manager let go of all, and its process end. An error when that does not go well.
    pub fn detach(&self) -> Result<(), String> {
        self.leaving.store(true, Ordering::Release);
        let detached = self.call("detach");
        drop(self.stdin.lock().unwrap().take());
        let status = self.child.lock().unwrap().wait();
        self.bury();
        match (detached, status) {
            (Ok(_), Ok(status)) if status.success() => Ok(()),
            (detached, status) => Err(format!("a manager's end: {detached:?}, {status:?}")),
        }
    }

    fn bury(&self) {
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
        self.bury();
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
                let mut report = Report::parse(words[2]).unwrap_or_else(|| panic!("what is {line:?}?"));
                if let Report::Ended { lived, .. } = &mut report {
                    // Now, because a moment later it could have ended.
                    *lived = is_alive(board, &key, words[1]);
                }
                board.report(key, report);
            }
            _ => panic!("what is {line:?}?"),
        }
    }
}

/// Whether the application lives that was reported to run. Another process can have its pid by now, of this uuid
/// hardly.
fn is_alive(board: &Board, key: &Key, uuid: &str) -> bool {
    let pid_of = |report: &Report| if let Report::Started { pid } = report { Some(*pid) } else { None };
    let pid = board.reports(key).iter().find_map(pid_of);
    let process = pid.and_then(ProcessInfo::of).filter(|process| !process.is_zombie());
    process.is_some_and(|process| process.cmdline.iter().any(|word| word.to_string_lossy().contains(uuid)))
}
