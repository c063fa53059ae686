//! Applications in containers: `runc exec {host}`, which `docker exec` and `podman exec` amount to, with process ids,
//! files and a shell (busybox) of the container's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{self, LONG, find_program, random_hex, skipped, wait_until};
use sshpm::{
    BootRequest, Error, Event, EventKind, ExitSource, Launcher, LauncherFailure, LinkLossPolicy, Manager, Options,
    Signal,
};

/// The container's first process: it adopts processes whose parent has ended, and reaps its children as an init does.
const INIT: &str = "while :; do sleep 1000 & wait $!; done";

/// Returns the path of runc, which is not in every PATH.
fn runc() -> PathBuf {
    find_program("runc").expect("runc")
}

/// A container. Dropping it ends everything in it and deletes it.
struct Container {
    dir: tempfile::TempDir,
    name: String,
}

impl Container {
    /// Makes a container. Where that is impossible, reports why and returns `None`.
    fn start() -> Option<Container> {
        let Some(busybox) = find_program("busybox") else {
            skipped("busybox is not installed, which is the system of the container");
            return None;
        };
        if find_program("runc").is_none() {
            skipped("runc is not installed");
            return None;
        }
        // SAFETY: no arguments.
        if unsafe { libc::geteuid() } != 0 {
            skipped("a container needs root");
            return None;
        }
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let container = Container { name: format!("sshpm-{}", &random_hex()[..8]), dir };
        container.lay_out(&busybox);
        let log = container.dir.path().join("log");
        let mut run = container.runc(&["run", "--detach", "--bundle"]);
        run.arg(container.dir.path()).arg(&container.name);
        // Not pipes: the container would hold them open.
        let file = fs::File::create(&log).unwrap();
        run.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        if !run.status().unwrap().success() {
            skipped(&format!("runc cannot run a container here: {}", fs::read_to_string(&log).unwrap().trim()));
            return None;
        }
        Some(container)
    }

    fn runc(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(runc());
        command.arg("--root").arg(self.dir.path().join("state")).args(arguments);
        command
    }

    /// Makes a root file system of busybox and its libraries, and runc's configuration with the init above.
    fn lay_out(&self, busybox: &Path) {
        let root = self.dir.path().join("rootfs");
        for directory in ["bin", "proc", "dev", "sys", "tmp", "root"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        let libraries = Command::new("ldd").arg(busybox).output().unwrap().stdout;
        let libraries = String::from_utf8(libraries).unwrap();
        let libraries = libraries.split_ascii_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from);
        for library in libraries {
            let inside = root.join(library.strip_prefix("/").unwrap());
            fs::create_dir_all(inside.parent().unwrap()).unwrap();
            support::install(&library, &inside, 0o755);
        }
        support::install(busybox, &root.join("bin/busybox"), 0o755);
        let links = Command::new(find_program("chroot").expect("chroot"))
            .arg(&root)
            .args(["/bin/busybox", "--install", "-s", "/bin"])
            .status()
            .unwrap();
        assert!(links.success());
        let spec = self.runc(&["spec"]).current_dir(self.dir.path()).status().unwrap();
        assert!(spec.success());
        let file = self.dir.path().join("config.json");
        let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        config["process"]["terminal"] = false.into();
        config["process"]["args"] = serde_json::json!(["/bin/sh", "-c", INIT]);
        config["process"]["env"] = serde_json::json!(["PATH=/bin", "HOME=/root"]);
        config["root"]["readonly"] = false.into();
        fs::write(&file, config.to_string()).unwrap();
    }

    /// Returns the launcher, as `docker exec -i {host}` would be.
    fn launcher(&self) -> Launcher {
        let (runc, state) = (runc(), self.dir.path().join("state"));
        Launcher::command([runc.to_str().unwrap(), "--root", state.to_str().unwrap(), "exec", "{host}"])
    }

    fn manager(&self) -> Manager {
        Manager::new(Options::new().launcher(self.launcher())).unwrap()
    }

    fn request(&self, script: &str) -> BootRequest {
        BootRequest::new(&self.name, ["sh", "-c", script])
    }

    /// Returns what a shell inside writes.
    fn ask(&self, script: &str) -> String {
        let output = self.runc(&["exec", &self.name, "/bin/sh", "-c", script]).stdin(Stdio::null()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits until nothing runs in the container but its init and the program that looks, and no file of ours is left.
    fn assert_nothing_left(&self) {
        let root = self.dir.path().join("rootfs");
        wait_until("nothing is left in the container", LONG, || {
            let processes = self.ask("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done");
            let runs = processes.lines().any(|line| line.contains("sshpm") || line.contains("ready"));
            let files = [root.join("tmp/drunc"), root.join("root/.local/state/sshpm")];
            (!runs && files.iter().all(|directory| is_empty(directory))).then_some(())
        });
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let deleted = self.runc(&["delete", "--force", &self.name]).stdin(Stdio::null()).status();
        if !std::thread::panicking() {
            assert!(deleted.unwrap().success(), "runc delete");
        }
    }
}

/// Whether the directory contains no file, however deep.
fn is_empty(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).all(|path| path.is_dir() && is_empty(&path))
}

#[test]
fn applications_live_and_end_in_a_container() {
    let Some(container) = Container::start() else { return };
    let manager = container.manager();
    let info = manager.validate_host_connection(&container.name, None, None).unwrap();
    assert!(info.sh.contains("busybox"), "{info:?}");

    manager.start_process("short", &container.request("echo out; echo err >&2; exit 3")).unwrap();
    assert_eq!(manager.wait_for_process_exit_code("short", LONG).unwrap(), Some(3));
    assert_eq!(manager.process_stdout("short").unwrap().bytes, b"out\n");
    assert_eq!(manager.process_stderr("short").unwrap().bytes, b"err\n");

    let asked = container.request("trap 'exit 17' QUIT; echo ready; while :; do sleep 0.05; done");
    manager.start_process("asked", &asked).unwrap();
    let pid = manager.wait_until_started("asked", LONG).unwrap();
    wait_until("it handles QUIT", LONG, || (manager.process_stdout("asked").ok()?.bytes == b"ready\n").then_some(()));
    // These are the container's own pids.
    assert!(container.ask(&format!("cat /proc/{pid}/cmdline")).contains("exit 17"));
    let status = manager.kill_process("asked", LONG).unwrap();
    assert_eq!((status.code(), status.source()), (Some(17), ExitSource::ManualKillThroughRemotePid));

    // The client dies. The wrapper inside learns of it by the end of its input.
    manager
        .start_process(
            "lost",
            &container.request("trap 'exit 42' HUP; echo ready; exec 2>/dev/null; while :; do sleep 0.05; done"),
        )
        .unwrap();
    manager.wait_until_started("lost", LONG).unwrap();
    wait_until("it handles HUP", LONG, || (manager.process_stdout("lost").ok()?.bytes == b"ready\n").then_some(()));
    let status = manager.kill_process_without_metadata("lost", Signal::KILL, true, LONG).unwrap();
    assert!(status.link_lost() && status.application_code() == Some(42), "{status}");
    drop(manager);
    container.assert_nothing_left();
}

#[test]
fn an_application_in_a_container_is_kept_and_adopted() {
    let Some(container) = Container::start() else { return };
    let manager = container.manager();
    let events = manager.subscribe().unwrap();
    let script = "trap 'exit 7' HUP; echo ready; while :; do sleep 0.05; done";
    manager.start_process("kept", &container.request(script).link_loss(LinkLossPolicy::Keep)).unwrap();
    let pid = manager.wait_until_started("kept", LONG).unwrap();
    let client = manager.runtime_pids("kept").ssh_client.unwrap();
    // SAFETY: a pid of this process's own child.
    assert_eq!(unsafe { libc::kill(client as i32, libc::SIGKILL) }, 0);
    let is_restored = |event: Event| matches!(event.kind, EventKind::LinkRestored).then_some(());
    wait_until("the link is restored", LONG, || is_restored(events.recv_timeout(Duration::from_secs(1)).ok()?));
    drop(manager);

    let manager = container.manager();
    assert_eq!(manager.find_processes(&container.name, None).unwrap().len(), 1);
    manager.adopt_process("kept", &container.name, None).unwrap();
    assert_eq!(manager.remote_pid("kept").unwrap(), pid);
    manager.send_signal("kept", Signal::HUP).unwrap();
    assert_eq!(manager.wait_for_process_exit_code("kept", LONG).unwrap(), Some(7));
    assert_eq!(manager.process_stdout("kept").unwrap().bytes, b"ready\n");
    drop(manager);
    container.assert_nothing_left();
}

#[test]
fn a_container_that_is_not_there_is_told_with_the_commands_own_words() {
    let Some(container) = Container::start() else { return };
    let manager = container.manager();
    match manager.validate_host_connection("sshpm-no-such-container", None, None) {
        Err(Error::Launcher { launcher, failure: LauncherFailure::Ended(255), stderr, .. }) => {
            assert!(launcher.ends_with("runc"), "{launcher}");
            assert!(stderr.contains("container does not exist"), "{stderr}");
        }
        other => panic!("{other:?}"),
    }
}
