//! Tests of `judge`, and of the logs, texts and plans that it uses.

use crate::dice::Dice;
use crate::judge::*;
use crate::life::{self, End, Life};
use crate::pattern;
use crate::plan::{Ending, Fate, Plan};
use crate::report::{Exit, Outcome, Report};

const KEY: u64 = 5;
const RAN: &str = "start 10 99\nwrote 3 0\nwrote 6 2\n";

fn plan() -> Plan {
    Plan {
        fate: Fate::Runs,
        keep: false,
        log_file: false,
        setup: false,
        start_timeout: None,
        key: KEY,
        sizes: [6, 2],
        time: 0,
        ending: Ending::Exit(4),
        commands: Vec::new(),
        manager_end: None,
    }
}

fn kept() -> Plan {
    Plan { keep: true, ..plan() }
}

fn ended(text: &str) -> Life {
    life::parse(&format!("{RAN}{text}\n")).remove(0)
}

fn exited(code: i32, signal: Option<i32>) -> Outcome {
    let (code, source) = (Some(code), "remote_monitoring".to_owned());
    Outcome::Exited(Exit { code, application: code, signal, unknown: false, lost: false, source })
}

fn failed(reason: &str) -> Outcome {
    Outcome::Failed(reason.to_owned())
}

fn without_code() -> Outcome {
    Outcome::Exited(Exit { source: "manual_kill_through_ssh_client".into(), ..Exit::default() })
}

fn started() -> Report {
    Report::Started { pid: 10 }
}

fn end(outcome: &Outcome) -> Report {
    Report::Ended { outcome: outcome.clone(), lived: false }
}

fn called(outcome: &Outcome) -> Report {
    Report::Called(outcome.clone())
}

fn answered(outcome: &Outcome) -> Report {
    Report::Answered { call: "kill".into(), outcome: outcome.clone() }
}

fn witness(reports: impl IntoIterator<Item = Report>) -> Witness {
    Witness { manager: Manager::Stays, reports: reports.into_iter().collect(), output: None }
}

/// Returns the reports of a manager that reports an outcome as it should. `ran`: the application had started.
fn reported(ran: bool, outcome: &Outcome) -> Witness {
    let first = ran.then(started);
    witness(first.into_iter().chain([end(outcome), called(outcome)]))
}

fn with(manager: Manager, witness: Witness) -> Witness {
    Witness { manager, ..witness }
}

fn case<'a>(plan: &'a Plan, life: Option<&'a Life>, witnesses: &'a [Witness]) -> Case<'a> {
    let (asked, alive, may_have_been_taken, former, log_file) = (Asked::default(), false, false, None, None);
    Case { plan, asked, life, alive, may_have_been_taken, former, log_file, witnesses }
}

const END: Asked = Asked { end: true, strike: false, parent: false };
const STRIKE: Asked = Asked { end: false, strike: true, parent: false };

#[track_caller]
fn assert_wrong(case: &Case, why: &str) {
    match judge(case) {
        Err(error) if error.contains(why) => {}
        other => panic!("expected an error with {why:?}, but got {other:?}"),
    }
}

#[test]
fn a_log_is_read_life_by_life() {
    let lives = life::parse(&format!("{RAN}signal 15 1\nend 115\nstart 11 100\nraise 15\nstart 12 101\nwrote 9"));
    assert_eq!(lives.len(), 3);
    assert_eq!((lives[0].pid, lives[0].wrote, lives[0].end), (10, [6, 2], End::Exit(115)));
    assert_eq!(lives[0].signals, [15]);
    assert_eq!((lives[1].code(), lives[2].code()), ((143, Some(15)), (137, Some(9))));
    // The last line is not complete.
    assert_eq!(lives[2].wrote, [0, 0]);
}

#[test]
fn a_report_comes_back_from_its_text() {
    for outcome in [exited(143, Some(15)), without_code(), failed("Setup:3:7")] {
        assert_eq!(Outcome::parse(&outcome.text()), Some(outcome.clone()));
        assert_eq!(Report::parse(&outcome.text()), Some(end(&outcome)));
        assert_eq!(Report::parse(&format!("called {}", outcome.text())), Some(called(&outcome)));
        assert_eq!(Report::parse(&format!("answered kill {}", outcome.text())), Some(answered(&outcome)));
    }
    assert_eq!(Report::parse("started 10"), Some(started()));
    assert_eq!(Report::parse("nonsense"), None);
}

#[test]
fn a_byte_of_the_pattern_depends_on_its_place_and_key() {
    let bytes = pattern::bytes(KEY, 0, 300);
    assert_eq!(pattern::bytes(KEY, 100, 200), bytes[100..]);
    assert_ne!(pattern::bytes(KEY + 1, 0, 300), bytes);
    assert_ne!(bytes[..100], bytes[100..200]);
}

#[test]
fn the_same_seed_draws_the_same_plans() {
    let plans = |seed| {
        let mut dice = Dice::new(seed);
        (0..50).map(|_| format!("{:?}", Plan::draw(&mut dice))).collect::<Vec<_>>()
    };
    assert_eq!(plans(7), plans(7));
    assert_ne!(plans(7), plans(8));
}

#[test]
fn true_outcomes_are_accepted() {
    let (plan, ran, raised) = (plan(), ended("end 4"), ended("raise 15"));
    let exact = |life, outcome| judge(&case(&plan, Some(life), &[reported(true, &outcome)]));
    assert_eq!(exact(&ran, exited(4, None)), Ok(Verdict::Exact(0)));
    assert_eq!(exact(&raised, exited(143, Some(15))), Ok(Verdict::Exact(0)));
    // The application was killed, so its log stops.
    assert_eq!(exact(&ended(""), exited(137, Some(9))), Ok(Verdict::Exact(0)));
    for fate in [Fate::NoProgram, Fate::NoDirectory, Fate::SetupFails(7)] {
        let reason = match fate {
            Fate::NoProgram => "ProgramNotFound",
            Fate::NoDirectory => "WorkingDirectory",
            _ => "Setup:3:7",
        };
        let failing = Plan { fate, ..self::plan() };
        assert_eq!(judge(&case(&failing, None, &[reported(false, &failed(reason))])), Ok(Verdict::Failed));
    }
    for outcome in [without_code(), exited(143, Some(15))] {
        let witnesses = [reported(false, &outcome)];
        let cancelled = Case { asked: END, ..case(&plan, None, &witnesses) };
        assert_eq!(judge(&cancelled), Ok(Verdict::Cancelled));
    }
}

#[test]
fn a_false_outcome_is_noticed() {
    let (plan, ran) = (plan(), ended("end 4"));
    for (life, outcome, why) in [
        (Some(&ran), exited(5, None), "it ended with"),
        (Some(&ran), exited(4, Some(4)), "it ended with"),
        (Some(&ran), without_code(), "without a code"),
        (None, exited(4, None), "never ran"),
        (None, exited(143, Some(15)), "never ran"),
        (None, without_code(), "nobody had asked"),
        (Some(&ran), failed("LinkLost"), "it ran"),
        (None, failed("ProgramNotFound"), "not why"),
        (None, failed("UuidInUse"), "not why"),
    ] {
        assert_wrong(&case(&plan, life, &[reported(false, &outcome)]), why);
    }
    // A kill does not turn a start that fails into an exit, nor a start that succeeds into a failure.
    let failing = Plan { fate: Fate::NoProgram, ..self::plan() };
    let witnesses = [reported(false, &exited(127, None))];
    assert_wrong(&Case { asked: END, ..case(&failing, None, &witnesses) }, "never ran");
    let witnesses = [reported(false, &failed("Setup:3:0"))];
    assert_wrong(&Case { asked: END, ..case(&plan, None, &witnesses) }, "not why");
}

#[test]
fn a_kill_can_overtake_an_end() {
    let (plan, ran) = (plan(), ended("end 4"));
    let witnesses = [reported(true, &exited(137, Some(9)))];
    assert_eq!(judge(&Case { asked: END, ..case(&plan, Some(&ran), &witnesses) }), Ok(Verdict::Overtaken));
    assert_wrong(&case(&plan, Some(&ran), &witnesses), "it ended with");
    let witnesses = [reported(true, &exited(143, Some(15)))];
    assert_wrong(&Case { asked: END, ..case(&plan, Some(&ran), &witnesses) }, "it ended with");
}

#[test]
fn an_adoption_can_find_the_end_of_the_start_before() {
    let (plan, former) = (kept(), ended("end 4"));
    let silent = || with(Manager::Killed, witness([]));
    let judged = |code, former| {
        let witnesses = [silent(), reported(false, &exited(code, None))];
        judge(&Case { former, ..case(&plan, None, &witnesses) })
    };
    assert_eq!(judged(4, Some(&former)), Ok(Verdict::Cancelled));
    assert!(judged(5, Some(&former)).unwrap_err().contains("never ran"));
    assert!(judged(4, None).unwrap_err().contains("never ran"));
    let witnesses = [reported(false, &exited(4, None))];
    assert_wrong(&Case { former: Some(&former), ..case(&plan, None, &witnesses) }, "never ran");
}

#[test]
fn an_end_is_reported_once_by_each_way_and_the_same() {
    let (plan, ran) = (plan(), ended("end 4"));
    let (outcome, other) = (exited(4, None), without_code());
    for (reports, why) in [
        (vec![started()], "no end"),
        (vec![started(), end(&outcome)], "0 callbacks"),
        (vec![started(), end(&outcome), called(&outcome), called(&outcome)], "2 callbacks"),
        (vec![started(), end(&outcome), end(&outcome), called(&outcome)], "2 ends"),
        (vec![started(), started(), end(&outcome), called(&outcome)], "twice"),
        (vec![started(), end(&outcome), called(&other)], "a callback said"),
        (vec![started(), end(&outcome), called(&outcome), answered(&other)], "kill said"),
        (vec![started(), end(&outcome), answered(&outcome), called(&outcome)], "after the kill"),
        (vec![end(&outcome), started(), called(&outcome)], "behind the end"),
        (vec![started(), Report::Lost, end(&outcome), called(&outcome)], "nobody had cut"),
        (vec![Report::Started { pid: 11 }, end(&outcome), called(&outcome)], "pid 11"),
    ] {
        assert_wrong(&case(&plan, Some(&ran), &[witness(reports)]), why);
    }
    let failing = Plan { fate: Fate::NoProgram, ..self::plan() };
    assert_wrong(&case(&failing, None, &[reported(true, &failed("ProgramNotFound"))]), "cannot");
}

#[test]
fn an_end_of_what_lives_is_noticed() {
    let (plan, ran) = (plan(), ended(""));
    let outcome = exited(137, Some(9));
    let witnesses = [reported(true, &outcome)];
    assert_wrong(&Case { alive: true, ..case(&plan, Some(&ran), &witnesses) }, "it lives");
    let early = Report::Ended { outcome: outcome.clone(), lived: true };
    assert_wrong(&case(&plan, Some(&ran), &[witness([started(), early, called(&outcome)])]), "while it lived");
}

#[test]
fn the_next_manager_reports_what_the_one_before_did_not() {
    let (plan, ran, outcome) = (kept(), ended("end 4"), exited(4, None));
    let silent = || with(Manager::Killed, witness([started()]));
    let adopted = || witness([Report::Restored, end(&outcome), called(&outcome)]);
    let judged = |witnesses: &[Witness]| judge(&case(&plan, Some(&ran), witnesses));
    assert_eq!(judged(&[silent(), adopted()]), Ok(Verdict::Exact(0)));
    // A killed manager may not have acknowledged to the host that it reported the exit.
    assert_eq!(judged(&[with(Manager::Killed, reported(true, &outcome)), adopted()]), Ok(Verdict::Exact(0)));
    // A manager can be killed between the callback and the event.
    assert_eq!(
        judged(&[with(Manager::Killed, witness([started(), called(&outcome)])), adopted()]),
        Ok(Verdict::Exact(0))
    );
    let detached = with(Manager::Detached, reported(true, &outcome));
    assert!(judged(&[detached, adopted()]).unwrap_err().contains("two managers"));
    let other = with(Manager::Killed, reported(true, &exited(5, None)));
    assert!(judged(&[other, adopted()]).unwrap_err().contains("different ends"));
    assert!(judged(&[silent()]).unwrap_err().contains("nobody learned"));
    // A manager can be killed after it received the exit and before it reported it.
    let witnesses = [silent()];
    let taken = Case { may_have_been_taken: true, ..case(&plan, Some(&ran), &witnesses) };
    assert_eq!(judge(&taken), Ok(Verdict::Unheard));
    // Another manager that was adopting it can have got the exit, and is gone.
    let taken_over = Report::NotRestored("process \"u\" is controlled by another live manager".into());
    let lost = || witness([Report::Restored, Report::Lost, taken_over.clone()]);
    let rival = || with(Manager::Killed, witness([]));
    assert_eq!(judged(&[silent(), rival(), lost(), adopted()]), Ok(Verdict::Exact(0)));
    assert!(judged(&[silent(), rival(), lost()]).unwrap_err().contains("nobody learned"));
    // A process that is not kept ends with its manager. So does a kept process that has not started yet.
    assert_eq!(judge(&case(&self::plan(), Some(&ran), &[silent()])), Ok(Verdict::Unheard));
    assert_eq!(judged(&[with(Manager::Killed, witness([]))]), Ok(Verdict::Unheard));
}

#[test]
fn a_lost_link_is_an_excuse_for_what_only_the_link_could_tell() {
    let (plan, ran) = (plan(), ended("end 4"));
    let witnesses = [reported(false, &failed("LinkLost"))];
    assert_eq!(judge(&Case { asked: STRIKE, ..case(&plan, None, &witnesses) }), Ok(Verdict::Cancelled));
    let unknown = Outcome::Exited(Exit { unknown: true, lost: true, ..Exit::default() });
    let witnesses = [reported(true, &unknown)];
    assert_wrong(&Case { asked: STRIKE, ..case(&plan, Some(&ran), &witnesses) }, "without a code");
    let parent = Asked { parent: true, ..STRIKE };
    assert_eq!(judge(&Case { asked: parent, ..case(&plan, Some(&ran), &witnesses) }), Ok(Verdict::Unheard));
}

/// Judges a process with this output. `lost`: its link was lost.
fn with_output(plan: &Plan, life: &Life, lost: bool, stdout: &[u8], stderr: &[u8]) -> Result<Verdict, String> {
    let code = Some(life.code().0);
    let (signal, source) = (life.code().1, "remote_monitoring".to_owned());
    let outcome = Outcome::Exited(Exit { code, application: code, signal, unknown: false, lost, source });
    let output = Some([stdout.to_vec(), stderr.to_vec()]);
    judge(&case(plan, Some(life), &[Witness { output, ..reported(true, &outcome) }]))
}

#[test]
fn output_arrives_whole_and_once() {
    let (plan, ran) = (plan(), ended("end 4"));
    let (out, err) = (pattern::bytes(KEY, 0, 6), pattern::bytes(KEY + 1, 0, 2));
    assert_eq!(with_output(&plan, &ran, false, &out, &err), Ok(Verdict::Exact(8)));
    let twice = out.repeat(2);
    let mut wrong = out.clone();
    wrong[3] ^= 1;
    for bytes in [&out[..5], &twice, &wrong, &err] {
        assert!(with_output(&plan, &ran, false, bytes, &err).is_err(), "{bytes:?}");
    }
    // The output of a kept process survives its link. Other output is lost with the link, and ssh adds a message.
    let said = [&err[..1], b"Connection closed"].concat();
    assert_eq!(with_output(&plan, &ran, true, &out[..5], &said), Ok(Verdict::Exact(6)));
    assert!(with_output(&kept(), &ran, true, &out[..5], &err).is_err());
    // An application that KILL ends can have written more than it had recorded.
    let more = pattern::bytes(KEY, 0, 9);
    assert_eq!(with_output(&plan, &ended(""), false, &more, &err), Ok(Verdict::Exact(11)));
}

#[test]
fn the_output_of_a_kept_start_that_is_taken_back_is_not_waited_for() {
    let (plan, ran) = (kept(), ended("end 4"));
    let judged = |source: &str, asked: Asked| {
        let exit = Exit { application: Some(4), source: source.to_owned(), ..Exit::default() };
        let witness = Witness { output: Some([vec![], vec![]]), ..reported(true, &Outcome::Exited(exit)) };
        judge(&Case { asked, ..case(&plan, Some(&ran), &[with(Manager::Detached, witness)]) })
    };
    let asked = Asked { end: true, ..Asked::default() };
    assert_eq!(judged("manual_kill_through_ssh_client", asked), Ok(Verdict::Exact(0)));
    assert!(judged("manual_kill_through_ssh_client", Asked::default()).is_err());
    assert!(judged("client_monitoring", asked).is_err());
}

#[test]
fn a_log_file_has_all_that_was_written() {
    let (ran, outcome) = (ended("end 4"), exited(4, None));
    let witnesses = [reported(true, &outcome)];
    let plan = Plan { log_file: true, ..plan() };
    let judged = |size| judge(&Case { log_file: Some(size), ..case(&plan, Some(&ran), &witnesses) });
    assert_eq!(judged(8), Ok(Verdict::Exact(8)));
    assert!(judged(7).is_err() && judged(9).is_err());
}
