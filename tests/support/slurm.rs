//! A Slurm cluster for one test: munged, slurmctld and slurmd, which see the file system of a `Remote` and end with it.
//!
//! A login of the remote's root starts them, so that they and their children descend from the remote's guard. Tasks get
//! their environment from srun and not from slurmd, so they would not carry the remote's mark.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::builder::{find_program, make_dir, write};
use super::clean::begin_clean;
use super::procs::ProcessInfo;
use super::remote::{Remote, random_hex};
use super::{DEADLINE, namespaces_work, skipped, wait_until};

/// The cluster's directory, as the remote sees it. It is in a file system that ends with the remote, and all users of
/// the remote can read it.
const REMOTE_DIR: &str = "/run/remote/slurm";

/// The programs that the cluster and its clients need, as Debian names them.
const PROGRAMS: [&str; 8] = ["munged", "slurmctld", "slurmd", "srun", "salloc", "scancel", "scontrol", "sinfo"];

/// The daemons of the remote, and an allocation of all its nodes.
///
/// Dropping the remote ends the cluster too. A remote has one cluster.
pub struct SlurmCluster {
    /// The slurm.conf of clients on this machine.
    conf: PathBuf,
    nodes: Vec<String>,
    job: u32,
    /// The cluster's directory, as this process sees it.
    local_dir: PathBuf,
}

/// How Slurm finds the processes of a step. Real clusters use cgroups, which contain everything that a step has
/// started; that would change the machine's control groups.
#[derive(Clone, Copy)]
enum Tracking {
    /// By the process group, which is ended at once and as a whole.
    Group,
    /// By descent. A process whose parent was killed a moment before can be missed.
    Parents,
}

/// Why a cluster did not start.
enum Failed {
    /// Another program has taken a port in between.
    Port,
    Refused(String),
}

impl SlurmCluster {
    /// Starts a cluster of one node.
    #[track_caller]
    pub fn start(remote: &Remote) -> SlurmCluster {
        SlurmCluster::start_nodes(remote, 1)
    }

    /// Starts a cluster with nodes n1, n2 and so on, which all are the remote.
    #[track_caller]
    pub fn start_nodes(remote: &Remote, nodes: usize) -> SlurmCluster {
        SlurmCluster::start_with(remote, &numbered(nodes), Tracking::Group)
    }

    /// Starts a cluster with nodes of these names, which all are the remote.
    #[track_caller]
    pub fn start_named(remote: &Remote, nodes: &[&str]) -> SlurmCluster {
        let nodes: Vec<_> = nodes.iter().map(|&node| node.to_owned()).collect();
        SlurmCluster::start_with(remote, &nodes, Tracking::Group)
    }

    /// Starts a cluster of one node, where a step consists of the descendants of its processes.
    #[track_caller]
    pub fn start_tracking_parents(remote: &Remote) -> SlurmCluster {
        SlurmCluster::start_with(remote, &numbered(1), Tracking::Parents)
    }

    #[track_caller]
    fn start_with(remote: &Remote, nodes: &[String], tracking: Tracking) -> SlurmCluster {
        let started = SlurmCluster::try_start(remote, nodes, tracking);
        started.unwrap_or_else(|why| panic!("Slurm did not start: {why}"))
    }

    fn try_start(remote: &Remote, nodes: &[String], tracking: Tracking) -> Result<SlurmCluster, String> {
        assert!(
            !remote.users().iter().all(|user| user.shell_name.is_empty()),
            "a remote without a file system of its own"
        );
        for _ in 0..20 {
            match SlurmCluster::run(remote, nodes, tracking) {
                Ok(cluster) => return Ok(cluster),
                Err(Failed::Port) => end_daemons(remote),
                Err(Failed::Refused(why)) => return Err(why),
            }
        }
        Err("found no ports".into())
    }

    fn run(remote: &Remote, nodes: &[String], tracking: Tracking) -> Result<SlurmCluster, Failed> {
        let dir = Path::new(REMOTE_DIR).join(&random_hex()[..8]);
        let local_dir = remote.local(&dir);
        fs::create_dir_all(&local_dir).expect("a directory on the remote");
        make_dir(&local_dir.join("state"), 0o700);
        // munged refuses a key that others can read.
        write(&local_dir.join("munge.key"), random_hex().repeat(4), 0o400);
        // This keeps slurmd from looking for systemd and from using the machine's control groups.
        write(&local_dir.join("cgroup.conf"), "CgroupPlugin=cgroup/v1\n", 0o644);
        let ports = free_ports(nodes.len() + 1);
        write(&local_dir.join("slurm.conf"), conf(&dir, &dir, nodes, &ports, tracking), 0o644);
        // Clients are not in the remote's file system. They reach munged through /proc.
        let client_dir = remote.dir().join("slurm");
        fs::create_dir_all(&client_dir).expect("a directory for the client's slurm.conf");
        let client_conf = client_dir.join("slurm.conf");
        write(&client_conf, conf(&dir, &local_dir, nodes, &ports, tracking), 0o644);
        let mut cluster = SlurmCluster { conf: client_conf, nodes: nodes.to_vec(), job: 0, local_dir };

        // Each becomes a daemon.
        let mut script = format!(
            "exec >start.log 2>&1\n{} --origin=127.0.0.1 --num-threads=2 --key-file=munge.key --socket=munge.socket \
             --log-file=munged.log --pid-file=munged.pid --seed-file=munged.seed || exit\n{} -f slurm.conf || exit\n",
            program("munged"),
            program("slurmctld"),
        );
        // munged leaves its directory, so relative paths would be wrong.
        for file in ["munge.key", "munge.socket", "munged.log", "munged.pid", "munged.seed"] {
            script = script.replace(&format!("={file}"), &format!("={}/{file}", dir.display()));
        }
        script = script.replace("-f slurm.conf", &format!("-f {}/slurm.conf", dir.display()));
        for node in &cluster.nodes {
            script += &format!("{} -f {}/slurm.conf -N {node} || exit\n", program("slurmd"), dir.display());
        }
        let output = remote_shell(remote, &format!("cd {} || exit\n{script}", dir.display()));
        if !output.status.success() {
            return Err(cluster.refused(&format!("{} {}", output.status, String::from_utf8_lossy(&output.stderr))));
        }
        let start = Instant::now();
        loop {
            let log = cluster.log();
            // A slurmd whose port was taken has become a daemon by then.
            let is_refused = |text: &&str| log.contains(text);
            if ["fatal:", "initialization failed", "Unable to bind listen port"].iter().any(is_refused) {
                return Err(cluster.refused(""));
            }
            let idle = cluster.client("sinfo").args(["-h", "-t", "idle", "-o", "%D"]).output().expect("sinfo");
            if String::from_utf8_lossy(&idle.stdout).trim() == nodes.len().to_string() {
                break;
            }
            assert!(start.elapsed() < DEADLINE, "the nodes of the Slurm cluster are not idle: {idle:?}\n{log}");
            std::thread::sleep(Duration::from_millis(5));
        }
        cluster.job = cluster.allocate(&cluster.nodes).map_err(Failed::Refused)?;
        Ok(cluster)
    }

    fn refused(&self, what: &str) -> Failed {
        let log = self.log();
        if log.contains("Address already in use") {
            return Failed::Port;
        }
        let told = |line: &&str| ["fatal:", "failed"].iter().any(|word| line.contains(word));
        let lines: Vec<_> = log.lines().filter(told).collect();
        Failed::Refused(format!("{what} {}", lines.join("; ")).trim().to_owned())
    }

    /// Returns the logs of the daemons.
    pub fn log(&self) -> String {
        let mut names = ["start.log", "munged.log", "slurmctld.log"].map(str::to_owned).to_vec();
        names.extend(self.nodes.iter().map(|node| format!("slurmd-{node}.log")));
        let logs = names.iter().map(|name| fs::read(self.local_dir.join(name)).unwrap_or_default());
        logs.map(|log| String::from_utf8_lossy(&log).into_owned()).collect()
    }

    /// Returns the job of the allocation, which has all nodes until it is cancelled.
    pub fn job(&self) -> u32 {
        self.job
    }

    pub fn node(&self) -> &str {
        &self.nodes[0]
    }

    pub fn nodes(&self) -> &[String] {
        &self.nodes
    }

    /// Returns the variables by which a client finds this cluster. `SLURM_JOB_ID` is not one of them.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        vec![("SLURM_CONF".into(), self.conf.clone().into())]
    }

    /// Returns a command that runs a program of Slurm for this cluster: `client("scancel")`. It gets no variable of
    /// another Slurm.
    pub fn client(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        for (variable, _) in std::env::vars_os() {
            let text = variable.to_string_lossy();
            if text.starts_with("SLURM") || text.starts_with("SRUN") {
                command.env_remove(&variable);
            }
        }
        // srun starts its task in its own directory, and this one exists on the remote too.
        command.envs(self.environment()).current_dir("/").stdin(Stdio::null());
        begin_clean(&mut command);
        command
    }

    /// Returns the `srun` command of one task on a node of the allocation. The caller adds options and the program.
    pub fn srun(&self, node: &str) -> Command {
        let mut command = self.client("srun");
        command.arg(format!("--jobid={}", self.job)).arg(format!("--nodelist={node}"));
        command.args(["--nodes=1", "--ntasks=1", "--overlap", "--quiet", "--mpi=none"]);
        command
    }

    /// Makes another allocation of these nodes, beside the existing ones, and returns its job.
    pub fn allocate(&self, nodes: &[String]) -> Result<u32, String> {
        let mut command = self.client("salloc");
        command.args(["--no-shell", "--immediate=10", "--no-bell"]).arg(format!("--nodelist={}", nodes.join(",")));
        let output = command.arg(format!("--nodes={}", nodes.len())).output().expect("salloc");
        // "salloc: Granted job allocation 1"
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let granted = text.lines().find(|line| line.contains("Granted job allocation"));
        granted.and_then(|line| line.rsplit(' ').next()?.parse().ok()).ok_or(text)
    }

    /// Cancels an allocation, which takes a moment where something runs in it. See also `client("scancel")`.
    #[track_caller]
    pub fn cancel(&self, job: u32) {
        assert!(self.client("scancel").arg(job.to_string()).status().expect("scancel").success());
    }

    /// Returns the daemons of this name, for tests that kill or stop them: "munged", "slurmctld", "slurmd", or
    /// "slurmstepd" for the steps.
    pub fn daemons(&self, remote: &Remote, name: &str) -> Vec<ProcessInfo> {
        let mut found = remote.all_processes();
        found.retain(|process| process.slurm_program().as_deref() == Some(name));
        found
    }
}

/// Returns why there can be no cluster here, if that is so.
pub fn slurm_missing() -> Option<String> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    MISSING.get_or_init(find_missing).clone()
}

/// Returns whether there can be a cluster here. If not, reports that the test is skipped: the test returns then.
#[must_use]
pub fn require_slurm() -> bool {
    let missing = slurm_missing();
    if let Some(why) = &missing {
        skipped(why);
    }
    missing.is_none()
}

fn find_missing() -> Option<String> {
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        return Some("no Slurm cluster: that needs root".into());
    }
    if !namespaces_work() {
        return Some("no Slurm cluster: no mount namespaces here".into());
    }
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|name| find_program(name).is_none()).collect();
    if !missing.is_empty() {
        return Some(format!("Slurm is not installed (tests/run --slurm installs it): no {}", missing.join(", ")));
    }
    // Only a try shows whether the daemons work on this machine.
    let remote = Remote::start();
    SlurmCluster::try_start(&remote, &numbered(1), Tracking::Group)
        .err()
        .map(|why| format!("Slurm does not start here: {why}"))
}

/// Returns n1, n2 and so on.
fn numbered(nodes: usize) -> Vec<String> {
    (1..=nodes).map(|number| format!("n{number}")).collect()
}

fn program(name: &str) -> String {
    find_program(name).unwrap_or_else(|| panic!("no {name}: see slurm_missing")).display().to_string()
}

/// Runs a script as the remote's root.
#[track_caller]
fn remote_shell(remote: &Remote, script: &str) -> Output {
    let mut command = remote.ssh("root@alpha");
    command.arg("exec /bin/sh").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("ssh");
    child.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("ssh reads the script");
    child.wait_with_output().expect("ssh")
}

/// Ends the daemons of a cluster that did not start: they would hold its ports in the next try.
#[track_caller]
fn end_daemons(remote: &Remote) {
    wait_until("the daemons of Slurm end", DEADLINE, || {
        let mut daemons = remote.all_processes();
        daemons.retain(|process| process.slurm_program().is_some());
        for daemon in &daemons {
            // It may have ended.
            let _ = daemon.signal(libc::SIGKILL);
        }
        daemons.is_empty().then_some(())
    });
}

/// Returns ports that were free on loopback when asked.
fn free_ports(count: usize) -> Vec<u16> {
    // All are open at once. Otherwise one port could be returned twice.
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port on loopback")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("its number").port()).collect()
}

/// Returns slurm.conf, for a reader that finds munged's socket in `munge_dir`. Values that it leaves out are Slurm's
/// own defaults, or differ between versions.
fn conf(dir: &Path, munge_dir: &Path, nodes: &[String], ports: &[u16], tracking: Tracking) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("the name of this machine");
    // slurmctld uses the short name.
    let host = host.trim().split('.').next().unwrap_or_default();
    let tracking = match tracking {
        Tracking::Group => "pgid",
        Tracking::Parents => "linuxproc",
    };
    let mut conf = format!(
        "ClusterName=sshpm\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={2}\nSlurmUser=root\nSlurmdUser=root\n\
         AuthInfo=socket={1}/munge.socket\nStateSaveLocation={0}/state\nSlurmdSpoolDir={0}/%n\n\
         SlurmctldPidFile={0}/slurmctld.pid\nSlurmdPidFile={0}/slurmd-%n.pid\n\
         SlurmctldLogFile={0}/slurmctld.log\nSlurmdLogFile={0}/slurmd-%n.log\n\
         ProctrackType=proctrack/{3}\nTaskPlugin=task/none\nSelectType=select/cons_tres\n\
         SelectTypeParameters=CR_Core\nSchedulerType=sched/builtin\nMpiDefault=none\nReturnToService=2\n\
         SlurmdParameters=config_overrides\n",
        dir.display(),
        munge_dir.display(),
        ports[0],
        tracking,
    );
    // The daemons listen on loopback only. Clients do not get this line, because with it they would look up their own
    // host's name.
    if munge_dir == dir {
        conf += "CommunicationParameters=NoCtldInAddrAny,NoInAddrAny\n";
    }
    for (node, port) in nodes.iter().zip(&ports[1..]) {
        // The nodes have these CPUs whatever this machine has (see `config_overrides`), so that there can be several
        // allocations.
        conf += &format!("NodeName={node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=16\n");
    }
    conf + &format!(
        "PartitionName=all Nodes={} Default=YES MaxTime=INFINITE OverSubscribe=YES State=UP\n",
        nodes.join(",")
    )
}
