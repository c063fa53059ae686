//! Tests of `recorder`.

use crate::recorder::*;

const LIVED: &str = "start 10 99\nbeat 1\nsignal 12 5\nbeat 2\n";

fn exited(code: i32) -> Reported {
    let signal = (code == 137).then_some(9);
    let (code, text) = (Some(code), String::new());
    Reported::Exited { code, application: code, signal, unknown: false, lived: false, text }
}

fn unseen() -> Reported {
    let text = String::new();
    Reported::Exited { code: None, application: None, signal: None, unknown: true, lived: false, text }
}

fn judged(log: &str, alive: bool, reported: &[Reported], excuses: Excuses) -> Verdict {
    let lives = parse(log);
    judge(&Case { life: lives.last(), alive, reported, excuses })
}

#[track_caller]
fn assert_wrong(log: &str, alive: bool, reported: &[Reported]) {
    let verdict = judged(log, alive, reported, Excuses::default());
    assert!(matches!(verdict, Verdict::Wrong(_)), "{verdict:?}");
}

#[test]
fn a_log_is_read_life_by_life() {
    let lives = parse(&format!("{LIVED}end 103\nstart 11 100\n"));
    assert_eq!(lives.len(), 2);
    assert_eq!((lives[0].end, lives[0].beats, lives[0].code()), (Some(103), 2, 103));
    assert_eq!(lives[0].signals, [12]);
    assert_eq!((lives[1].pid, lives[1].code()), (11, 137));
}

#[test]
fn true_reports_are_exact() {
    let started = Reported::Started { pid: 10 };
    let ended = format!("{LIVED}end 103\n");
    let none = Excuses::default();
    assert_eq!(judged(LIVED, true, std::slice::from_ref(&started), none), Verdict::Runs);
    assert_eq!(judged(&ended, false, &[started.clone(), exited(103)], none), Verdict::Exact);
    assert_eq!(
        judged(&ended, false, &[started.clone(), Reported::Lost { reason: String::new() }, exited(103)], none),
        Verdict::Exact
    );
    assert_eq!(judged(LIVED, false, &[started.clone(), exited(137)], none), Verdict::Exact);
    assert_eq!(judged("", false, &[Reported::Failed { text: String::new() }], none), Verdict::NotStarted);
    let killed = Excuses { wrapper_killed: true, ..none };
    assert_eq!(judged(LIVED, false, &[started.clone(), unseen()], killed), Verdict::NoCode);
    let starved = Excuses { starved: true, ..none };
    assert_eq!(
        judged(LIVED, false, &[started.clone(), Reported::Lost { reason: String::new() }, unseen()], starved),
        Verdict::NoCode
    );
    assert!(matches!(judged(LIVED, false, &[started.clone(), unseen()], starved), Verdict::Wrong(_)));
    let lost_race = Reported::NotRestored { reason: "process \"a\" is controlled by another live manager".into() };
    assert_eq!(judged(&ended, false, &[started.clone(), exited(103), lost_race], none), Verdict::Exact);
    let cut = Excuses { unreachable: true, ..none };
    assert_eq!(judged(LIVED, false, &[started.clone(), unseen()], cut), Verdict::Unknown);
    let early = Excuses { early: true, ..none };
    assert_eq!(judged("", false, &[started.clone(), exited(137)], early), Verdict::NotStarted);
    assert_eq!(judged("", false, &[started.clone(), unseen()], early), Verdict::NotStarted);
    assert!(matches!(judged("", false, &[started.clone(), exited(0)], early), Verdict::Wrong(_)));
    let gone = Excuses { manager_gone: true, ..none };
    assert_eq!(judged(LIVED, false, &[started], gone), Verdict::Exact);
}

#[test]
fn a_wrong_code_is_noticed() {
    let started = Reported::Started { pid: 10 };
    let ended = format!("{LIVED}end 103\n");
    assert_wrong(&ended, false, &[started.clone(), exited(0)]);
    assert_wrong(&ended, false, &[started.clone(), exited(137)]);
    assert_wrong(LIVED, false, &[started.clone(), exited(103)]);
    // The code 137 without a signal.
    let text = String::new();
    let code = Some(137);
    let no_signal = Reported::Exited { code, application: code, signal: None, unknown: false, lived: false, text };
    assert_wrong(LIVED, false, &[started.clone(), no_signal]);
    // An unknown exit without a reason why it cannot be known.
    assert_wrong(&ended, false, &[started, unseen()]);
    assert_wrong("", false, &[exited(1)]);
}

#[test]
fn two_ends_and_none_are_noticed() {
    let started = Reported::Started { pid: 10 };
    let ended = format!("{LIVED}end 103\n");
    assert_wrong(&ended, false, &[started.clone(), exited(103), exited(103)]);
    assert_wrong(&ended, false, std::slice::from_ref(&started));
    assert_wrong(&ended, false, &[started.clone(), exited(103), Reported::Lost { reason: String::new() }]);
    let not_restored = Reported::NotRestored { reason: "the host is unreachable".into() };
    assert_wrong(&ended, false, &[started.clone(), exited(103), not_restored]);
    assert_wrong(&ended, false, &[]);
    assert_wrong(LIVED, true, &[started.clone(), started.clone()]);
    assert_wrong("", false, &[started]);
}

#[test]
fn a_race_has_as_many_ends_as_starts_and_their_codes() {
    let lives = parse(&format!("{LIVED}end 103\nstart 11 100\n"));
    let reported = [exited(103), Reported::Failed { text: String::new() }, exited(137)];
    assert_eq!(judge_race(3, &lives, &reported), Ok(3));
    assert!(judge_race(2, &lives, &reported).is_err());
    assert!(judge_race(4, &lives, &reported).is_err());
    assert!(judge_race(2, &lives, &[exited(103), exited(103)]).is_err());
    assert!(judge_race(1, &lives, &[exited(0)]).is_err());
    assert!(judge_race(1, &lives, &[unseen()]).is_err());
    let (started, lost) = (Reported::Started { pid: 10 }, Reported::Lost { reason: String::new() });
    assert_eq!(judge_race(1, &lives, &[started.clone(), lost.clone(), unseen()]), Ok(1));
    assert!(judge_race(2, &lives, &[started.clone(), lost, unseen(), started, unseen()]).is_err());
}

#[test]
fn an_end_of_a_running_process_is_noticed() {
    let started = Reported::Started { pid: 10 };
    assert_wrong(LIVED, true, &[started.clone(), exited(137)]);
    assert_wrong(LIVED, true, &[Reported::Failed { text: String::new() }]);
    let mut early = exited(103);
    if let Reported::Exited { lived, .. } = &mut early {
        *lived = true;
    }
    assert_wrong(&format!("{LIVED}end 103\n"), false, &[started.clone(), early]);
    // The process still runs after its exit was reported as unknown, or after its manager is gone.
    let excuses = Excuses { unreachable: true, ..Excuses::default() };
    assert!(matches!(judged(LIVED, true, &[started.clone(), unseen()], excuses), Verdict::Wrong(_)));
    let excuses = Excuses { manager_gone: true, ..Excuses::default() };
    assert!(matches!(judged(LIVED, true, &[started], excuses), Verdict::Wrong(_)));
}
