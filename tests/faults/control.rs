//! The suite's connection to the manager's process: commands, answers, and the manager's reports.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::child;
use crate::near::Near;
use crate::recorder::Reported;
use crate::support::ProcessInfo;

/// How long to wait for an answer.
const ANSWER: Duration = Duration::from_secs(45);

/// The reports of all managers, by uuid. They stay when a manager is gone.
#[derive(Default)]
pub struct Reports(Mutex<HashMap<String, ProcessReports>>);

#[derive(Default)]
struct ProcessReports {
    reported: Vec<Reported>,
    output: Option<[Vec<u8>; 2]>,
}

impl Reports {
    pub fn of(&self, uuid: &str) -> Vec<Reported> {
        self.0.lock().unwrap().get(uuid).map(|process| process.reported.clone()).unwrap_or_default()
    }

    /// Returns stdout and stderr as the manager had them when the process had exited.
    pub fn output_of(&self, uuid: &str) -> Option<[Vec<u8>; 2]> {
        self.0.lock().unwrap().get(uuid)?.output.clone()
    }

    /// Forgets the reports about this uuid, because a new start of it begins.
    pub fn clear(&self, uuid: &str) {
        self.0.lock().unwrap().remove(uuid);
    }

    fn add(&self, uuid: &str, mut reported: Reported) {
        let mut all = self.0.lock().unwrap();
        let list = &mut all.entry(uuid.to_owned()).or_default().reported;
        if let Reported::Exited { lived, .. } = &mut reported {
            // Whether the application still runs is checked now, because it could end a moment later.
            let pid = list
                .iter()
                .rev()
                .find_map(|reported| if let Reported::Started { pid } = reported { Some(*pid) } else { None });
            let process = pid.and_then(ProcessInfo::of);
            *lived =
                process.is_some_and(|process| !process.is_zombie() && process.cmdline.iter().any(|w| w == "record"));
        }
        list.push(reported);
    }

    fn add_output(&self, uuid: &str, streams: [Vec<u8>; 2]) {
        self.0.lock().unwrap().entry(uuid.to_owned()).or_default().output = Some(streams);
    }
}

pub struct Control {
    child: Mutex<Child>,
    process: ProcessInfo,
    stdin: Mutex<Option<ChildStdin>>,
    next: AtomicU64,
    replies: Arc<Mutex<HashMap<u64, String>>>,
    ended: Arc<AtomicBool>,
    reader: Mutex<Option<JoinHandle<()>>>,
}

/// A command whose answer may not have arrived yet.
#[must_use]
#[derive(Debug, Clone, Copy)]
pub struct Asked(u64);

impl Control {
    /// Starts a manager, which gives each process an ssh client of its own, or not.
    pub fn start(near: &Near, test: &str, clients: bool, reports: &Arc<Reports>) -> Control {
        let mut command = near.manager_command(test);
        command.env(child::CLIENTS, if clients { "yes" } else { "no" });
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let process = ProcessInfo::of(child.id() as i32).unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let (replies, ended): (Arc<Mutex<HashMap<_, _>>>, Arc<AtomicBool>) = Default::default();
        let (kept, over, reports) = (Arc::clone(&replies), Arc::clone(&ended), Arc::clone(reports));
        let reader = thread::spawn(move || {
            read(stdout, &kept, &reports);
            over.store(true, Ordering::Release);
        });
        Control {
            child: Mutex::new(child),
            process,
            stdin: Mutex::new(stdin),
            next: AtomicU64::new(1),
            replies,
            ended,
            reader: Mutex::new(Some(reader)),
        }
    }

    pub fn process(&self) -> &ProcessInfo {
        &self.process
    }

    /// Sends a command, and does not wait for the answer.
    pub fn ask(&self, words: &str) -> Asked {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(stdin) = self.stdin.lock().unwrap().as_mut() {
            // A manager that was killed reads nothing. The missing answer is noticed by `wait`.
            let _ = stdin.write_all(format!("{number} {words}\n").as_bytes());
        }
        Asked(number)
    }

    /// Takes the answer, if it has arrived.
    pub fn answer(&self, Asked(number): Asked) -> Option<String> {
        self.replies.lock().unwrap().remove(&number)
    }

    /// Waits for the answer. Returns an error if the answer is one, if the manager is gone, or after `ANSWER`.
    pub fn wait(&self, asked: Asked) -> Result<String, String> {
        let start = Instant::now();
        loop {
            match self.answer(asked) {
                Some(text) if text.starts_with("error") => return Err(text),
                Some(text) => return Ok(text),
                None if self.ended.load(Ordering::Acquire) => return Err("the manager's process is gone".into()),
                None if start.elapsed() > ANSWER => return Err("the manager's process did not answer in time".into()),
                None => thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    pub fn call(&self, words: &str) -> Result<String, String> {
        self.wait(self.ask(words))
    }

    /// Waits until a manager that was killed is gone, and until all that it reported is read.
    pub fn reap(&self) {
        let _ = self.child.lock().unwrap().wait();
        if let Some(reader) = self.reader.lock().unwrap().take() {
            reader.join().unwrap();
        }
    }

    /// Ends the manager by the end of its stdin. Returns false if its process failed.
    pub fn end(&self) -> bool {
        drop(self.stdin.lock().unwrap().take());
        let good = self.child.lock().unwrap().wait().is_ok_and(|status| status.success());
        self.reap();
        good
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        drop(self.stdin.lock().unwrap().take());
        let _ = self.child.lock().unwrap().kill();
        self.reap();
    }
}

fn read(stdout: ChildStdout, replies: &Mutex<HashMap<u64, String>>, reports: &Reports) {
    let mut lines = BufReader::new(stdout).split(b'\n');
    while let Some(Ok(line)) = lines.next() {
        let line = String::from_utf8_lossy(&line).into_owned();
        let Some(line) = line.strip_prefix(child::MARK) else { continue };
        let mut parts = line.splitn(3, ' ');
        let (what, whose, text) =
            (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or("").to_owned());
        match what {
            "reply" => drop(replies.lock().unwrap().insert(whose.parse().unwrap(), text)),
            "started" => reports.add(whose, Reported::Started { pid: text.parse().unwrap() }),
            "lost" => reports.add(whose, Reported::Lost { reason: text }),
            "restored" => reports.add(whose, Reported::Restored),
            "not-restored" => reports.add(whose, Reported::NotRestored { reason: text }),
            "failed" => reports.add(whose, Reported::Failed { text }),
            "output" => reports.add_output(whose, parse_output(&text)),
            "exited" => reports.add(whose, parse_exit(&text)),
            _ => println!("the manager's process: {line}"),
        }
    }
}

fn parse_output(line: &str) -> [Vec<u8>; 2] {
    let (stdout, stderr) = line.split_once(' ').unwrap();
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    [stdout, stderr].map(|hex| hex.as_bytes().chunks(2).map(byte).collect())
}

fn parse_exit(line: &str) -> Reported {
    let words: Vec<&str> = line.splitn(6, ' ').collect();
    let number = |at: usize| words[at].parse().ok();
    let (code, application, signal) = (number(0), number(1), number(2));
    Reported::Exited { code, application, signal, unknown: words[3] == "true", lived: false, text: words[5].to_owned() }
}
