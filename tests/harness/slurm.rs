//! Tests the Slurm cluster of the test harness: it runs what it is asked to, and leaves nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Instant;

use crate::support::{DEADLINE, Remote, SlurmCluster, require_slurm, wait_until};

/// An srun that does not outlive its test.
struct Step(Child);

impl Drop for Step {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(None)) {
            return;
        }
        // The whole group: srun has a child that ends the step when srun is killed, and goes on asking for it for long
        // when the cluster is gone.
        // SAFETY: integers only; nobody else waits for the leader, so the group is still its own.
        unsafe { libc::kill(-(self.0.id() as i32), libc::SIGKILL) };
        let _ = self.0.wait();
    }
}

/// Starts a step that waits. Returns when the step has written its first line.
fn start_on(cluster: &SlurmCluster, node: &str, script: &str) -> Step {
    let mut srun = cluster.srun(node);
    srun.process_group(0);
    let mut child = srun.args(["sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    Step(child)
}

#[test]
fn a_cluster_runs_on_the_remote() {
    if !require_slurm() {
        return;
    }
    let remote = Remote::start();
    let before = Instant::now();
    let cluster = SlurmCluster::start(&remote);
    println!("the cluster started in {:?}", before.elapsed());
    let output = cluster.srun(cluster.node()).arg("hostname").output().unwrap();
    println!("{output:?}");
    assert!(output.status.success());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), host);
    // The step sees the remote's file system.
    let script = "echo here >/tmp/scratch/file; echo $SLURM_JOB_ID $SLURMD_NODENAME; exit 7";
    let output = cluster.srun(cluster.node()).args(["sh", "-c", script]).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{} {}\n", cluster.job(), cluster.node()));
    assert_eq!(remote.read("/tmp/scratch/file"), b"here\n");
    assert!(!Path::new("/tmp/scratch/file").exists());
    remote.assert_nothing_left();
    remote.stop();
}

#[test]
fn what_runs_in_it_counts_and_ends_with_the_remote() {
    if !require_slurm() {
        return;
    }
    let remote = Remote::start();
    let cluster = SlurmCluster::start_nodes(&remote, 2);
    assert_eq!(cluster.nodes(), ["n1", "n2"]);
    let steps =
        cluster.nodes().iter().map(|node| start_on(&cluster, node, "echo ready; setsid sleep 600")).collect::<Vec<_>>();
    // The shell of each step and its sleep.
    wait_until("both run", DEADLINE, || (remote.processes().len() == 4).then_some(()));
    assert_eq!(cluster.daemons(&remote, "slurmstepd").len(), 2);
    // A second allocation beside the first one ends alone.
    let job = cluster.allocate(cluster.nodes()).unwrap();
    assert_ne!(job, cluster.job());
    cluster.cancel(job);
    let all = remote.all_processes();
    remote.stop();
    drop(steps);
    let left: Vec<_> = all.iter().filter(|process| process.is_alive()).collect();
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn commands_reach_one_task_only_and_the_end_of_input_too() {
    if !require_slurm() {
        return;
    }
    let remote = Remote::start();
    let cluster = SlurmCluster::start(&remote);
    let script = "echo ready; read line; echo \"got $line\" >/tmp/scratch/$SLURM_STEP_ID; cat; echo end";
    let mut steps: Vec<_> = (0..10).map(|_| start_on(&cluster, cluster.node(), script)).collect();
    for (number, step) in steps.iter_mut().enumerate() {
        writeln!(step.0.stdin.as_mut().unwrap(), "line {number}").unwrap();
    }
    for mut step in steps {
        drop(step.0.stdin.take());
        assert!(step.0.wait().unwrap().success());
        let mut output = String::new();
        step.0.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        assert_eq!(output, "end\n");
    }
    let mut lines: Vec<_> = (0..10).map(|step| remote.read(format!("/tmp/scratch/{step}"))).collect();
    lines.sort();
    assert_eq!(lines, (0..10).map(|number| format!("got line {number}\n").into_bytes()).collect::<Vec<_>>());
    remote.assert_nothing_left();
}
