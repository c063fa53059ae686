//! Shells that end before the program runs: somebody kills them, they lack memory, or they are not shells at all.

use sshpm::{BootRequest, LinkLossPolicy, Manager, StartFailure};

use crate::life::{end_of, failure_of, file, finish};
use crate::support::{By, Remote, launched_by};

/// The name and the content of a shell, and why the start fails; `None` if it does not fail.
type Case = (&'static str, Vec<u8>, Option<StartFailure>);

/// Returns a case for each step at which a shell can end. A shell's arguments are `-c TEXT STEM`, where STEM is the
/// common beginning of the names of two fifos.
fn cases() -> [Case; 10] {
    use StartFailure::{Ended, ProgramNotFound, ShellNotFound};
    let dies = "kill -KILL $$\n";
    let tells = "#!/bin/sh\necho $$ >\"$3.x\"\n";
    let reads = format!("{tells}cat \"$3.x\" >/dev/null\n");
    [
        ("no-shell", b"#!/bin/sh\nexit 3\n".into(), Some(Ended(3))),
        ("no-interpreter", b"#!/no/such/interpreter\n".into(), Some(ShellNotFound)),
        ("opened-to-tell", format!("#!/bin/sh\n: >\"$3.x\"\n{dies}").into(), Some(Ended(137))),
        ("silent", format!("#!/bin/sh\n{dies}").into(), Some(Ended(137))),
        ("told", format!("{tells}{dies}").into(), Some(Ended(137))),
        ("opened-to-read", format!("{tells}exec 5<\"$3.x\"\n{dies}").into(), Some(Ended(137))),
        // The shell that hands over learns of it before this shell ends, so the code is the shell's own.
        (
            "closed",
            format!("{tells}trap '' PIPE\nexec 5<\"$3.x\"\nexec 5<&-\necho f >\"$3.x\"\nexit 7\n").into(),
            Some(Ended(7)),
        ),
        ("read", format!("{reads}{dies}").into(), Some(Ended(137))),
        ("failed", format!("{reads}echo f exec 0 127 >\"$3.a\"\n{dies}").into(), Some(ProgramNotFound)),
        // From here on, the shell cannot be distinguished from the program.
        ("about-to-run", format!("{reads}echo x >\"$3.a\"\n{dies}").into(), None),
    ]
}

/// Tries each shell without and with setup lines, kept and not kept, and with more to read than a pipe holds. Asserts
/// that each start fails or ends as expected, and that nothing is left.
#[track_caller]
pub fn assert_leave_nothing(remote: &Remote, manager: &Manager) {
    for (name, content, expected) in cases() {
        let shell = file(remote, name, &content, 0o755).into_string().unwrap();
        let small = BootRequest::new("alpha", ["/bin/sleep", "1000"]).setup_shell(shell);
        let large = small.clone().environment("A", "x".repeat(100_000));
        for (size, request) in [("small", small), ("large", large)] {
            let mut requests = vec![request.clone(), request.setup_line("true")];
            if launched_by() != By::Slurm {
                requests.extend(requests.clone().into_iter().map(|request| request.link_loss(LinkLossPolicy::Keep)));
            }
            for (at, request) in requests.iter().enumerate() {
                assert_ends(manager, &format!("{name}-{size}-{at}"), request, expected.as_ref());
            }
        }
    }
    finish(manager, remote);
}

#[track_caller]
fn assert_ends(manager: &Manager, uuid: &str, request: &BootRequest, expected: Option<&StartFailure>) {
    match expected {
        Some(reason) => assert_eq!(failure_of(manager, uuid, request), *reason, "{uuid}"),
        None => {
            manager.start_process(uuid, request).unwrap();
            assert_eq!(end_of(manager, uuid).code(), Some(137), "{uuid}");
        }
    }
}
