//! What is special about Slurm, with a real cluster: munged, slurmctld and slurmd. each.rs tests what Slurm has in
//! common with the other launchers.

use std::path::PathBuf;
use std::time::Duration;

use crate::life::{OWN_CODES, TIME, end_of, shell, stdout};
use crate::support::{self, ProcessInfo, Remote, SlurmCluster, processes, require_slurm, wait_until};
use sshpm::{
    BootRequest, Error, EventKind, ExitSource, KillTimeouts, Launcher, LauncherFailure, LinkLossPolicy, Manager,
    Options, ProcessState, Signal, Slurm,
};

/// A cluster on a remote of its own.
struct Nodes {
    cluster: SlurmCluster,
    remote: Remote,
}

impl Nodes {
    fn start(nodes: usize) -> Nodes {
        let remote = Remote::start();
        Nodes { cluster: SlurmCluster::start_nodes(&remote, nodes), remote }
    }

    fn start_tracking_parents() -> Nodes {
        let remote = Remote::start();
        Nodes { cluster: SlurmCluster::start_tracking_parents(&remote), remote }
    }

    /// Returns a launcher with Slurm's programs, which know this cluster. The tests are threads and share an
    /// environment, so it cannot be set there.
    fn program(&self, name: &str) -> PathBuf {
        let [(variable, value)] = &self.cluster.environment()[..] else { panic!("one variable") };
        let (variable, value) = (variable.to_string_lossy(), value.to_string_lossy());
        self.remote.program(name, &format!("{variable}='{value}' exec {name} \"$@\""))
    }

    fn slurm(&self) -> Slurm {
        for beside in ["squeue", "scontrol"] {
            self.program(beside);
        }
        Slurm::new().job(self.cluster.job().to_string()).srun_program(self.program("srun"))
    }

    fn manager(&self) -> Manager {
        self.manager_with(Options::new())
    }

    fn manager_with(&self, options: Options) -> Manager {
        Manager::new(options.launcher(Launcher::Slurm(self.slurm()))).unwrap()
    }

    fn request(&self, script: &str) -> BootRequest {
        BootRequest::new(self.cluster.node(), ["/bin/sh", "-c", script])
    }

    #[track_caller]
    fn start_ready(&self, manager: &Manager, uuid: &str, script: &str) -> ProcessInfo {
        manager.start_process(uuid, &self.request(script)).unwrap();
        let pid = manager.wait_until_started(uuid, TIME).unwrap();
        wait_until("it is ready", TIME, || stdout(manager, uuid).contains("ready").then_some(()));
        ProcessInfo::of(pid as i32).unwrap()
    }

    fn kill_the_controller(&self) {
        wait_until("slurmctld has ended", TIME, || {
            let daemons = self.cluster.daemons(&self.remote, "slurmctld");
            for daemon in &daemons {
                // slurmctld is two processes, and one can end with the other before it is signalled.
                let _ = daemon.signal(libc::SIGKILL);
            }
            daemons.is_empty().then_some(())
        });
    }
}

fn failure(error: Error) -> LauncherFailure {
    match error {
        Error::Launcher { launcher, failure, stderr, .. } => {
            assert!(["srun", "slurm"].contains(&&*launcher), "{launcher}");
            println!("{failure:?}: {stderr}");
            failure
        }
        other => panic!("{other:?}"),
    }
}

/// Returns srun and its child of the same name, which watches over the step.
fn sruns_of(manager: &Manager, uuid: &str) -> Vec<ProcessInfo> {
    let client = manager.runtime_pids(uuid).ssh_client.unwrap() as i32;
    wait_until("both processes of srun", TIME, || {
        let both: Vec<_> = processes().into_iter().filter(|p| p.pid == client || p.ppid == client).collect();
        (both.len() == 2).then_some(both)
    })
}

#[test]
fn fifty_steps_share_a_job_of_two_nodes() {
    if !require_slurm() {
        return;
    }
    let nodes = Nodes::start(2);
    let hosts = nodes.slurm().hosts().unwrap();
    assert_eq!(hosts, nodes.cluster.nodes());
    let manager = nodes.manager();
    let uuids: Vec<_> = (0..50).map(|number| format!("u{number}")).collect();
    for (number, uuid) in uuids.iter().enumerate() {
        let script = format!("trap 'exit 17' QUIT; echo $SLURMD_NODENAME ready; {}", "while :; do sleep 0.2; done");
        let request = BootRequest::new(&hosts[number % 2], ["/bin/sh", "-c", &script]);
        manager.start_process(uuid, &request).unwrap();
    }
    for (number, uuid) in uuids.iter().enumerate() {
        let line = format!("{} ready\n", hosts[number % 2]);
        wait_until(&format!("{uuid} runs on its node"), TIME, || (stdout(&manager, uuid) == line).then_some(()));
    }
    for (uuid, end) in manager.kill_processes(&uuids, &KillTimeouts::from(TIME)).unwrap() {
        let status = end.unwrap();
        let ended = (status.code(), status.source());
        assert_eq!(ended, (Some(17), ExitSource::ManualKillThroughRemotePid), "{uuid}: {status}");
    }
    drop(manager);
    nodes.remote.assert_nothing_left();
}

/// The streams are pipes, Slurm writes nothing into the application's output, and the program's variables for srun do
/// not reach srun.
#[test]
fn an_application_has_its_streams_to_itself() {
    support::isolated(|| {
        if !require_slurm() {
            return;
        }
        let nodes = Nodes::start(1);
        // As in a job whose program was started by srun with options of its own.
        for (name, value) in [
            ("SLURM_LABELIO", "1"),
            ("SLURM_UNBUFFEREDIO", "1"),
            ("SLURM_STDOUTMODE", "/tmp/scratch/stolen"),
            ("SLURM_CPU_BIND", "quiet,mask_cpu:0x1"),
            ("SLURM_UMASK", "0777"),
            ("SLURM_DEBUG", "3"),
            ("SSHPM_TEST_VALUE", "of the program"),
        ] {
            // SAFETY: no other thread of this process looks at the environment.
            unsafe { std::env::set_var(name, value) };
        }
        let manager = nodes.manager();
        let script = "for fd in 1 2; do [ -p /dev/fd/$fd ] || echo no pipe; done; echo \"$SSHPM_TEST_VALUE, $SLURM_JOB_ID\"; \
                      pwd; umask; echo err >&2; exit 7";
        manager.start_process("u", &nodes.request(script).umask(0o27)).unwrap();
        assert_eq!(manager.wait_for_process_exit_code("u", TIME).unwrap(), Some(7));
        let home = std::env::var("HOME").unwrap();
        let expected = format!("of the program, {}\n{home}\n0027\n", nodes.cluster.job());
        assert_eq!(stdout(&manager, "u"), expected);
        wait_until("the client has gone", TIME, || manager.runtime_pids("u").ssh_client.is_none().then_some(()));
        assert_eq!(String::from_utf8_lossy(&manager.process_stderr("u").unwrap().bytes), "err\n");
        drop(manager);
        nodes.remote.assert_nothing_left();
    });
}

#[test]
fn each_failure_is_told_from_the_others() {
    if !require_slurm() {
        return;
    }
    let nodes = Nodes::start(2);
    let ask = |slurm: Slurm, host: &str| {
        let manager = Manager::new(Options::new().launcher(Launcher::Slurm(slurm))).unwrap();
        failure(manager.validate_host_connection(host, None, None).unwrap_err())
    };
    let node = nodes.cluster.node();
    assert_eq!(ask(nodes.slurm().job("4242"), node), LauncherFailure::NoJob);
    assert_eq!(failure(nodes.slurm().job("4242").hosts().unwrap_err()), LauncherFailure::NoJob);
    assert_eq!(ask(nodes.slurm(), "no-such-node"), LauncherFailure::NotInJob);
    let of_one_node = nodes.cluster.allocate(&nodes.cluster.nodes()[1..]).unwrap().to_string();
    assert_eq!(ask(nodes.slurm().job(&of_one_node), node), LauncherFailure::NotInJob);
    assert_eq!(nodes.slurm().job(&of_one_node).hosts().unwrap(), nodes.cluster.nodes()[1..]);
    assert_eq!(ask(nodes.slurm().srun_program("/no/such/srun"), node), LauncherFailure::NotFound);
    assert!(matches!(ask(nodes.slurm().srun_option("--no-such-option"), node), LauncherFailure::Ended(_)));

    nodes.cluster.cancel(nodes.cluster.job());
    // The job stays for a moment.
    wait_until("the job has ended", TIME, || nodes.slurm().hosts().is_err().then_some(()));
    assert_eq!(ask(nodes.slurm(), node), LauncherFailure::NoJob);

    nodes.kill_the_controller();
    // srun tries for 9 s.
    let slurm = Launcher::Slurm(nodes.slurm());
    let manager = Manager::new(Options::new().launcher(slurm).connect_timeout(TIME)).unwrap();
    let error = manager.validate_host_connection(node, None, None).unwrap_err();
    assert_eq!(failure(error), LauncherFailure::NoController);
    assert_eq!(failure(nodes.slurm().hosts().unwrap_err()), LauncherFailure::NoController);
}

#[test]
fn what_slurm_cannot_do_is_refused_by_its_field() {
    let manager = Manager::new(Options::new().launcher(Launcher::Slurm(Slurm::new().job("1")))).unwrap();
    let refused = |request: BootRequest| match manager.start_process("u", &request) {
        Err(Error::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(shell("true").link_loss(LinkLossPolicy::Keep)), "link_loss");
    assert_eq!(refused(shell("true").user("somebody-else")), "user");
    assert_eq!(refused(BootRequest::new("n[1-2]", ["true"])), "host");
    assert!(matches!(
        manager.validate_host_connection("n1", None, Some("publickey")),
        Err(Error::Invalid { field, .. }) if field == "auth_method"
    ));
}

/// Slurm ends the wrapper at once, without a report of the exit. The manager ends what Slurm leaves of the step.
#[test]
fn an_srun_that_is_killed_takes_its_step_along_and_no_code_is_made_up() {
    if !require_slurm() {
        return;
    }
    let nodes = Nodes::start(1);
    let manager = nodes.manager();
    let events = manager.subscribe().unwrap();
    let application = nodes.start_ready(&manager, "u", OWN_CODES);
    manager
        .runtime_pids("u")
        .ssh_client
        .map(|pid| ProcessInfo::of(pid as i32).unwrap().signal(libc::SIGKILL))
        .unwrap()
        .unwrap();
    let status = end_of(&manager, "u");
    assert_eq!((status.code(), status.application_code(), status.link_lost()), (None, None, true), "{status}");
    wait_until("the step has ended", TIME, || (!application.is_alive()).then_some(()));
    let told: Vec<_> = events.try_iter().map(|event| event.kind).collect();
    assert!(
        matches!(&told[..], [EventKind::Started { .. }, EventKind::LinkLost { .. }, EventKind::Exited { .. }]),
        "{told:?}"
    );
    drop(manager);
    nodes.remote.assert_nothing_left();
}

/// When both of srun's processes are gone, nobody ends the step, and its input never ends: the lease ends it.
#[test]
fn a_step_that_nobody_has_any_more_ends_by_its_lease() {
    if !require_slurm() {
        return;
    }
    let nodes = Nodes::start(1);
    let manager = nodes.manager_with(Options::new().lease(Duration::from_secs(3)).lost_timeout(TIME));
    let application = nodes.start_ready(&manager, "u", OWN_CODES);
    let both = sruns_of(&manager, "u");
    // The second process is stopped first: it ends the step when it sees the other one's end.
    for process in both.iter().rev() {
        process.signal(libc::SIGSTOP).unwrap();
    }
    for process in both.iter().rev() {
        process.signal(libc::SIGKILL).unwrap();
    }
    let status = end_of(&manager, "u");
    assert_eq!((status.application_code(), status.link_lost()), (Some(42), true), "{status}");
    assert!(!application.is_alive());
    drop(manager);
    nodes.remote.assert_nothing_left();
}

/// TERM reaches all processes of the step. The wrapper lives on, and reports the exit.
#[test]
fn a_cancelled_jobs_applications_are_told_with_their_codes() {
    if !require_slurm() {
        return;
    }
    let nodes = Nodes::start_tracking_parents();
    let manager = nodes.manager();
    nodes.start_ready(&manager, "u", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done");
    nodes.cluster.cancel(nodes.cluster.job());
    let status = end_of(&manager, "u");
    assert_eq!((status.code(), status.source(), status.link_lost()), (Some(5), ExitSource::RemoteMonitoring, false));
    drop(manager);
    nodes.remote.assert_nothing_left();
}

/// Running steps need no slurmctld: commands and the exit get through.
#[test]
fn applications_go_on_without_a_controller() {
    if !require_slurm() {
        return;
    }
    let nodes = Nodes::start(1);
    let manager = nodes.manager();
    nodes.start_ready(&manager, "u", OWN_CODES);
    nodes.kill_the_controller();
    manager.send_signal("u", Signal::CONT).unwrap();
    assert_eq!(manager.process_state("u").unwrap(), ProcessState::Running);
    assert_eq!(manager.kill_process("u", TIME).unwrap().code(), Some(17));
    nodes.remote.assert_nothing_left();
}

/// When a manager lets go, the step's input ends, and the application ends by its policy.
#[test]
fn a_manager_that_lets_go_ends_its_steps() {
    if !require_slurm() {
        return;
    }
    let nodes = Nodes::start(1);
    let manager = nodes.manager();
    nodes.start_ready(
        &manager,
        "u",
        "trap 'echo hup >/tmp/scratch/hup; exit 42' HUP; echo ready; while :; do sleep 0.05; done",
    );
    drop(manager);
    nodes.remote.assert_nothing_left();
    assert_eq!(nodes.remote.read("/tmp/scratch/hup"), b"hup\n");
}
