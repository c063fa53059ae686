//! What comes along where no login makes the environment: that of the program, or of a command.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use sshpm::{BootRequest, Launcher, LinkLossPolicy, Manager, Options};
use support::{LONG, Remote, skipped};

/// Sites have interactive shells end when they are idle; bash's `read` takes that time for its own, in scripts too.
#[test]
fn a_shells_idle_time_ends_no_application() {
    let remote = Remote::start();
    for shell in ["bash", "ksh93"] {
        let Some(path) = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|directory| directory.join(shell))
            .find(|path| path.exists())
        else {
            skipped(&format!("{shell} is not installed"));
            continue;
        };
        let program = remote.program(shell, &format!("shift; TMOUT=1 exec {} \"$@\"", path.display()));
        let manager = Manager::new(Options::new().launcher(Launcher::command([program]))).unwrap();
        let sleep = BootRequest::new("here", ["/bin/sh", "-c", "sleep 4; exit ${TMOUT}7"]);
        for (uuid, request) in [
            ("plain", sleep.clone()),
            ("kept", sleep.clone().link_loss(LinkLossPolicy::Keep)),
            ("setup", sleep.setup_line("sleep 1.5").setup_shell(path.to_str().unwrap())),
        ] {
            manager.start_process(&format!("{shell}-{uuid}"), &request).unwrap();
        }
        std::thread::sleep(Duration::from_millis(1300));
        assert!(manager.process_state(&format!("{shell}-setup")).unwrap() == sshpm::ProcessState::Starting, "its setup lasts");
        for uuid in ["plain", "kept", "setup"] {
            let code = manager.wait_for_process_exit_code(&format!("{shell}-{uuid}"), LONG);
            assert_eq!(code.unwrap(), Some(17), "{shell}-{uuid}");
        }
    }
    drop(remote);
}
