//! The life of several processes, to be run under each login shell and each `/bin/sh`.

use std::path::Path;

use super::*;
use crate::support::{AppReport, Remote};
use sshpm::ExitSource;

/// The remote, the manager and the user with which the processes run.
pub struct Life<'a> {
    pub remote: &'a Remote,
    pub manager: &'a Manager,
    pub user: Option<&'a str>,
    /// Names the life in messages, and keeps its files and uuids apart from those of others.
    pub name: &'a str,
}

impl Life<'_> {
    fn uuid(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }

    fn request(&self, request: BootRequest) -> BootRequest {
        match self.user {
            Some(user) => request.user(user),
            None => request,
        }
    }

    fn start(&self, what: &str, request: BootRequest) {
        self.manager.start_process(&self.uuid(what), &self.request(request)).unwrap();
    }

    fn report_file(&self) -> std::path::PathBuf {
        self.remote.scratch().join(self.name)
    }

    /// Starts all of its processes. They connect at the same time as those of other lives.
    pub fn begin(&self) {
        let report = format!("print out stderr err report {} exit 3 -- a'b", self.report_file().display());
        let request =
            app(self.remote, &report).environment("VALUE", "it's $x\n\\").setup_line("FROM_SETUP=1; export FROM_SETUP");
        self.start("exit", request);
        self.start("quit", shell(OWN_CODES));
        self.start("signal", app(self.remote, "raise SEGV"));
        self.start("link", shell(OWN_CODES));
    }

    /// Asserts that each process has come to its end.
    #[track_caller]
    pub fn end(&self) {
        self.exit();
        self.quit();
        self.signal();
        self.link_loss();
    }

    #[track_caller]
    fn exit(&self) {
        let uuid = self.uuid("exit");
        self.manager.wait_until_started(&uuid, TIME).unwrap_or_else(|error| panic!("{uuid}: {error}"));
        let status = end_of(self.manager, &uuid);
        assert_eq!((status.code(), status.source()), (Some(3), ExitSource::RemoteMonitoring), "{uuid}: {status}");
        assert_eq!((status.signal(), status.left_over()), (None, false), "{uuid}: {status}");
        // Start-up files have written nothing to it.
        assert_eq!(stdout(self.manager, &uuid), "out\n", "{uuid}");
        assert_eq!(self.manager.process_stderr(&uuid).unwrap().bytes, b"err", "{uuid}");
        let report = AppReport::wait(self.remote, self.report_file());
        assert_eq!(report.payload(), ["a'b"], "{uuid}");
        assert_eq!(report.var("VALUE").unwrap(), "it's $x\n\\", "{uuid}");
        assert_eq!(report.var("FROM_SETUP").unwrap(), "1", "{uuid}");
    }

    #[track_caller]
    fn wait_ready(&self, uuid: &str) {
        self.manager.wait_until_started(uuid, TIME).unwrap_or_else(|error| panic!("{uuid}: {error}"));
        wait_until(&format!("{uuid} is ready"), TIME, || (stdout(self.manager, uuid) == "ready\n").then_some(()));
    }

    #[track_caller]
    fn quit(&self) {
        let uuid = self.uuid("quit");
        self.wait_ready(&uuid);
        let status = self.manager.kill_process(&uuid, TIME).unwrap();
        let expected = (Some(17), ExitSource::ManualKillThroughRemotePid);
        assert_eq!((status.code(), status.source()), expected, "{uuid}: {status}");
    }

    #[track_caller]
    fn signal(&self) {
        let uuid = self.uuid("signal");
        let status = end_of(self.manager, &uuid);
        assert_eq!(status.code(), Some(128 + libc::SIGSEGV), "{uuid}: {status}");
        assert_eq!(status.signal().map(|signal| signal.number()), Some(libc::SIGSEGV), "{uuid}: {status}");
    }

    #[track_caller]
    fn link_loss(&self) {
        let uuid = self.uuid("link");
        self.wait_ready(&uuid);
        break_link(self.manager, &uuid);
        let status = end_of(self.manager, &uuid);
        assert_eq!((status.source(), status.code()), (ExitSource::ClientMonitoring, None), "{uuid}: {status}");
        assert_eq!(status.application_code(), Some(42), "{uuid}: {status}");
    }
}

/// Returns those of these programs that are installed.
pub fn installed(names: &[&str]) -> Vec<std::path::PathBuf> {
    let find =
        |name: &&str| ["/bin", "/usr/bin"].iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
    names.iter().filter_map(find).collect()
}
