//! Kills in the first moments of a start.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::fault::Part;
use crate::lane::Lane;
use crate::slot::Policy;
use crate::support::ProcessInfo;

/// How many starts a step disturbs.
const STARTS: usize = 3;
/// The longest time between the appearance of a start's shell and the kill. The wrapper reports `begin` as soon as the
/// shell has read the script.
const FIRST_MOMENTS: Duration = Duration::from_millis(30);
/// How long to look for the shell of a start.
const LOOKING: Duration = Duration::from_secs(2);

/// Starts some processes, one after the other, and kills a part of each.
pub fn kill(lane: &mut Lane, part: Part, dice: &mut Dice) {
    for _ in 0..STARTS {
        let Some(Beginning { sshd, shell }) = begin(lane, dice) else { continue };
        let tree = tree(shell);
        let victim = match part {
            Part::Client => match client_of_last(lane) {
                None => {
                    lane.extras.note_kill(format!("the link of {}", describe(&tree)), false);
                    close_last(lane);
                    continue;
                }
                client => client,
            },
            Part::Session => Some(sshd),
            Part::Shell => Some(*dice.pick(&wrappers_own(&tree))),
            Part::Manager => unreachable!("the manager belongs to no host"),
        };
        let Some(victim) = victim.and_then(ProcessInfo::of) else { continue };
        lane.extras.note_kill(format!("{} of {}", victim.pid, describe(&tree)), part == Part::Shell);
        let _ = victim.signal(libc::SIGKILL);
    }
}

/// Returns the wrapper's own shells, which have the name that the ssh command gives them, or all processes if there are
/// none. A shell that becomes the application is left out: it may report that one of its children was killed.
fn wrappers_own(tree: &[i32]) -> Vec<i32> {
    let is_own = |pid: &&i32| {
        let process = ProcessInfo::of(**pid);
        process.is_some_and(|process| process.cmdline.last().is_some_and(|word| word == "sshpm"))
    };
    let own: Vec<i32> = tree.iter().filter(is_own).copied().collect();
    if own.is_empty() { tree.to_vec() } else { own }
}

/// Describes each process with its parent and its last argument.
fn describe(tree: &[i32]) -> String {
    let processes = tree.iter().filter_map(|pid| ProcessInfo::of(*pid));
    let words = processes.map(|process| {
        let last = process.cmdline.last().map(|word| word.to_string_lossy().into_owned());
        format!("{} of parent {} ({})", process.pid, process.ppid, last.unwrap_or_default())
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Starts some processes, and returns in the first moments of the last one.
pub fn begin_some(lane: &mut Lane, dice: &mut Dice) {
    for _ in 0..STARTS {
        begin(lane, dice);
    }
}

/// The first processes of a start on its host.
struct Beginning {
    sshd: i32,
    shell: i32,
}

/// Starts a process, waits for its shell, and then for a random part of its first moments.
fn begin(lane: &mut Lane, dice: &mut Dice) -> Option<Beginning> {
    let sshds: Vec<i32> = lane.host.remote.session_sshds().iter().map(|sshd| sshd.pid).collect();
    let before: BTreeSet<i32> = sshds.iter().flat_map(|sshd| children(*sshd)).collect();
    let policy = *dice.pick(&[Policy::Keep, Policy::Terminate]);
    lane.start_extra(policy);
    let begun = Instant::now();
    let is_new = |child: &i32| !before.contains(child) && !sshds.contains(child);
    let found = loop {
        let find = |sshd: &i32| Some(Beginning { sshd: *sshd, shell: children(*sshd).into_iter().find(is_new)? });
        match sshds.iter().find_map(find) {
            Some(found) => break Some(found),
            None if begun.elapsed() > LOOKING => break None,
            None => thread::sleep(Duration::from_micros(500)),
        }
    };
    thread::sleep(FIRST_MOMENTS * dice.below(100) as u32 / 100);
    found
}

/// Returns the ssh client of the start that began last.
fn client_of_last(lane: &Lane) -> Option<i32> {
    let [client, ..] = lane.pids(lane.extras.last()?).ok()?;
    (client > 0).then_some(client)
}

/// Closes the session of the start that began last, which has no ssh client.
fn close_last(lane: &mut Lane) {
    if let Some(last) = lane.extras.last().map(str::to_owned) {
        lane.close(&last);
    }
}

/// Returns a process and all its descendants.
fn tree(root: i32) -> Vec<i32> {
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        found.extend(children(found[at]));
        at += 1;
    }
    found
}

/// Returns the children of one process. Asks the kernel for these alone: reading all of /proc takes longer than the
/// first moments.
fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Whether this kernel lists the children of a process.
pub fn is_possible() -> bool {
    let own = std::process::id();
    fs::exists(format!("/proc/{own}/task/{own}/children")).unwrap_or(false)
}
