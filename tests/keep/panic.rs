//! A watcher that panics leaves a kept process alone. The program's logger, which the watcher calls, is what panics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::keeping::*;
use crate::life::*;
use crate::support::{Remote, isolated, wait_until};
use sshpm::FoundState;

struct PanickingLogger(AtomicBool);

static LOGGER: PanickingLogger = PanickingLogger(AtomicBool::new(true));

impl log::Log for PanickingLogger {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        if record.args().to_string().contains("runs with pid") && self.0.swap(false, Ordering::SeqCst) {
            panic!("the logger's panic");
        }
    }

    fn flush(&self) {}
}

#[test]
fn a_watcher_that_panics_leaves_what_is_kept() {
    // The logger belongs to the whole process, and would panic in other tests too.
    isolated(|| {
        let remote = Remote::start();
        log::set_logger(&LOGGER).unwrap();
        log::set_max_level(log::LevelFilter::Info);
        let counting = Counting::new(&remote);
        let first = manager(&remote);
        first.start_process("u", &counting.request().grace(Duration::from_secs(1))).unwrap();
        assert!(end_of(&first, "u").is_unknown());
        let second = manager(&remote);
        wait_until("no manager has the process", TIME, || {
            (!matches!(found(&second, "u").state, FoundState::Managed)).then_some(())
        });
        second.adopt_process("u", "alpha", None).unwrap();
        wait_for_lines(&second, "u", 3);
        assert_eq!(second.kill_process("u", TIME).unwrap().code(), Some(17));
        finish(&second, &remote);
    });
}
