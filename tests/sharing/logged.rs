//! Captures what the library logs, for tests that are alone in their process.

use std::sync::Mutex;

static LINES: Lines = Lines(Mutex::new(Vec::new()));

struct Lines(Mutex<Vec<(log::Level, String)>>);

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        self.0.lock().unwrap().push((record.level(), record.args().to_string()));
    }

    fn flush(&self) {}
}

/// Captures what is logged from now on.
pub fn keep() {
    log::set_logger(&LINES).unwrap();
    log::set_max_level(log::LevelFilter::Debug);
}

/// Returns the warnings and errors so far.
pub fn warnings() -> Vec<String> {
    let lines = LINES.0.lock().unwrap();
    lines.iter().filter(|(level, _)| *level <= log::Level::Warn).map(|(_, text)| text.clone()).collect()
}
