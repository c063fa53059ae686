//! srun's arguments, and what its errors mean.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::absolute_path::resolve_program;
use crate::callback_thread::refuse_inside_callback;
use crate::check;
use crate::error::{Error, LauncherFailure, Result};
use crate::local_program;

/// How long one of Slurm's programs may take; srun and squeue try for 9 s to reach a slurmctld that does not answer.
const TIME: Duration = Duration::from_secs(20);

/// A Slurm job that exists: an allocation of nodes, as `salloc` and `sbatch` make it. Processes are steps of it, each on a node
/// that its request names as its host.
///
/// All of them together may use more CPUs than the job has: they are steps that overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slurm {
    job: Option<String>,
    srun_program: PathBuf,
    srun_options: Vec<String>,
}

impl Default for Slurm {
    fn default() -> Slurm {
        Slurm { job: None, srun_program: PathBuf::from("srun"), srun_options: Vec::new() }
    }
}

impl Slurm {
    /// The job that this program runs in: SLURM_JOB_ID of its environment.
    pub fn new() -> Slurm {
        Slurm::default()
    }

    /// The job's number.
    pub fn job(mut self, job: impl Into<String>) -> Slurm {
        self.job = Some(job.into());
        self
    }

    /// The srun program: a path, or a name that is looked up in PATH. scontrol and squeue are taken from where it is.
    /// Default: `srun`.
    pub fn srun_program(mut self, program: impl Into<PathBuf>) -> Slurm {
        self.srun_program = program.into();
        self
    }

    /// Adds an option of srun(1), as `--name=value` or `--name`. It stands before this crate's own, which win: where, as what, and
    /// with which streams the step runs.
    pub fn srun_option(mut self, option: impl Into<String>) -> Slurm {
        self.srun_options.push(option.into());
        self
    }

    /// The nodes of the job, which are the hosts for its processes, in Slurm's order. Blocks, at most for 40 s, and 80 s where
    /// Slurm's programs do not end of KILL.
    ///
    /// # Errors
    /// [`Error::Launcher`]: Slurm does not know the job, it has ended, no slurmctld answers, or squeue or scontrol is not here;
    /// [`Error::Invalid`], [`Error::InsideCallback`].
    pub fn hosts(&self) -> Result<Vec<String>> {
        refuse_inside_callback()?;
        self.check("launcher")?;
        let job = self.job_id()?;
        let list = self.ask("squeue", &["--noheader", "--format=%N", &format!("--jobs={job}")])?;
        let list = list.trim();
        if list.is_empty() {
            // Of a job that has ended squeue knows no nodes for some minutes, and then nothing.
            return Err(failed(LauncherFailure::NoJob, format!("job {job} has no nodes")));
        }
        let hosts = self.ask("scontrol", &["show", "hostnames", list])?;
        Ok(hosts.lines().map(str::to_owned).collect())
    }

    fn ask(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let path = self.srun_program.with_file_name(program);
        let mut command = Command::new(&path);
        Slurm::clear_environment(command.args(arguments));
        let Some(said) = local_program::run_command(&command, TIME) else {
            return Err(failed(LauncherFailure::NotFound, format!("{} cannot be executed", path.display())));
        };
        let [stderr, stdout] = said.texts.map(|text| String::from_utf8_lossy(&text).into_owned());
        match (said.code, Slurm::failure(&stderr)) {
            (Some(0), _) => Ok(stdout),
            (_, Some(failure)) => Err(failed(failure, stderr)),
            (Some(code), None) => Err(failed(LauncherFailure::Ended(code), stderr)),
            // A host program that reaps all children leaves no code. What was cut has no end of line.
            (None, None) if stdout.ends_with('\n') && stderr.is_empty() => Ok(stdout),
            (None, None) => Err(failed(LauncherFailure::TimedOut, stderr)),
        }
    }

    pub(crate) fn resolve_path(&mut self) {
        resolve_program(&mut self.srun_program);
    }

    pub(crate) fn check(&self, field: &str) -> Result<()> {
        if let Some(job) = &self.job {
            check_job(&format!("{field}.job"), job)?;
        }
        if self.srun_program.as_os_str().is_empty() {
            return Err(Error::invalid(format!("{field}.srun_program"), "", "it is the path or the name of a program"));
        }
        for (at, option) in self.srun_options.iter().enumerate() {
            let field = format!("{field}.srun_options[{at}]");
            if !option.starts_with("--") || option.len() == 2 {
                return Err(Error::invalid(field, option, "an option of srun is written --name=value or --name"));
            }
            check::text(&field, option.as_bytes(), check::LONGEST_NAME)?;
        }
        Ok(())
    }

    /// A node goes to srun as a list, in which these characters mean more, and as a file where it has a slash.
    pub(crate) fn check_node(host: &str) -> Result<()> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if host.bytes().all(good) {
            return Ok(());
        }
        Err(Error::invalid("host", host, "the name of a node has letters, digits, '.', '_' and '-'"))
    }

    /// The job's number, from here or from the environment. Without one, srun would queue for an allocation of its own.
    fn job_id(&self) -> Result<String> {
        if let Some(job) = &self.job {
            return Ok(job.clone());
        }
        let job = std::env::var("SLURM_JOB_ID").or_else(|_| std::env::var("SLURM_JOBID")).unwrap_or_default();
        if job.is_empty() {
            return Err(Error::invalid(
                "launcher.job",
                "",
                "no job is given, and SLURM_JOB_ID is not set: salloc sets it",
            ));
        }
        check_job("SLURM_JOB_ID", &job)?;
        Ok(job)
    }

    /// srun and its arguments, before the command. Of an option that is given twice the last one holds.
    pub(crate) fn arguments(&self, host: &str) -> Result<Vec<OsString>> {
        let mut arguments = vec![OsString::from(&self.srun_program)];
        arguments.extend(DEFAULTS.map(OsString::from));
        arguments.extend(self.srun_options.iter().map(OsString::from));
        arguments.push(format!("--jobid={}", self.job_id()?).into());
        arguments.push(format!("--nodelist={host}").into());
        arguments.extend(OURS.map(OsString::from));
        arguments.push("--".into());
        Ok(arguments)
    }

    /// Has Slurm's programs go by their arguments alone.
    pub(crate) fn clear_environment(command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let is_slurms = ["SLURM_", "SRUN_", "SQUEUE_", "SCONTROL_"].iter().any(|begin| text.starts_with(begin));
            if is_slurms && !OF_THE_CLUSTER.contains(&&*text) {
                command.env_remove(&name);
            }
        }
    }

    /// What srun's messages mean.
    pub(crate) fn failure(stderr: &str) -> Option<LauncherFailure> {
        MESSAGES.iter().find(|(text, _)| stderr.contains(text)).map(|(_, failure)| *failure)
    }
}

fn check_job(field: &str, job: &str) -> Result<()> {
    if job.is_empty() || job.len() > 20 || !job.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::invalid(field, job, "a job is a number"));
    }
    Ok(())
}

fn failed(failure: LauncherFailure, stderr: String) -> Error {
    Error::Launcher { launcher: "slurm".to_owned(), host: String::new(), user: None, failure, stderr }
}

/// What holds unless the caller's options say otherwise: the environment of this program; all memory and all CPUs that the job has on the
/// node; and no MPI, which would cost each step its set-up.
const DEFAULTS: [&str; 4] = ["--export=ALL", "--mem=0", "--cpu-bind=none", "--mpi=none"];

/// One task, beside other steps, and the one that reads stdin. The directory is one that every node has: srun would say that it takes
/// another. Not `--unbuffered`: the task's stdout would be a terminal. So what it writes comes when a line ends, as all reports do.
const OURS: [&str; 6] = ["--nodes=1", "--ntasks=1", "--overlap", "--quiet", "--input=0", "--chdir=/"];

/// Of Slurm's variables, those that name the cluster. srun takes most of the others for options (labels before lines, files in place of the
/// streams, a prolog that writes to them), which often have no opposite that could be an argument; and a program that runs in a job has its
/// own step's values in them. What a step's task has of them is set by slurmd.
const OF_THE_CLUSTER: [&str; 3] = ["SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT"];

/// Those of 22.05.
const MESSAGES: [(&str, LauncherFailure); 8] = [
    ("Invalid job id specified", LauncherFailure::NoJob),
    ("has expired", LauncherFailure::NoJob),
    // The job of somebody else.
    ("Access/permission denied", LauncherFailure::NoJob),
    ("Requested node configuration is not available", LauncherFailure::NotInJob),
    ("Unable to contact slurm controller", LauncherFailure::NoController),
    ("Could not establish a configuration source", LauncherFailure::NoController),
    ("Protocol authentication error", LauncherFailure::NoController),
    ("Munge encode failed", LauncherFailure::NoController),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_options_come_between_the_defaults_and_ours() {
        let slurm =
            Slurm::new().job("42").srun_program("/opt/bin/srun").srun_option("--export=NONE").srun_option("--nodes=2");
        let words = slurm.arguments("n-1").unwrap();
        let line = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        assert_eq!(
            line,
            "/opt/bin/srun --export=ALL --mem=0 --cpu-bind=none --mpi=none --export=NONE --nodes=2 --jobid=42 \
             --nodelist=n-1 --nodes=1 --ntasks=1 --overlap --quiet --input=0 --chdir=/ --"
        );
    }

    #[test]
    fn what_srun_would_read_otherwise_is_refused() {
        for (slurm, name) in [
            (Slurm::new().job(""), "launcher.job"),
            (Slurm::new().job("42 43"), "launcher.job"),
            (Slurm::new().srun_program(""), "launcher.srun_program"),
            (Slurm::new().srun_option("-n2"), "launcher.srun_options[0]"),
            (Slurm::new().srun_option("--"), "launcher.srun_options[0]"),
            (Slurm::new().srun_option("--a\0"), "launcher.srun_options[0]"),
        ] {
            match slurm.check("launcher") {
                Err(Error::Invalid { field, .. }) => assert_eq!(field, name),
                other => panic!("{name}: {other:?}"),
            }
        }
        for host in ["n[1-3]", "n1,n2", "./n1", "^n1"] {
            assert!(Slurm::check_node(host).is_err(), "{host}");
        }
    }

    /// As srun 22.05 said it.
    #[test]
    fn messages_are_told_apart() {
        for (text, failure) in [
            (
                "srun: error: Unable to confirm allocation for job 4242: Invalid job id specified",
                Some(LauncherFailure::NoJob),
            ),
            ("srun: error: Slurm job 4 has expired", Some(LauncherFailure::NoJob)),
            ("srun: error: Unable to create step for job 1: Access/permission denied", Some(LauncherFailure::NoJob)),
            (
                "srun: error: Unable to create step for job 2: Requested node configuration is not available",
                Some(LauncherFailure::NotInJob),
            ),
            (
                "srun: error: Unable to confirm allocation for job 1: Unable to contact slurm controller (connect failure)",
                Some(LauncherFailure::NoController),
            ),
            ("srun: fatal: Could not establish a configuration source", Some(LauncherFailure::NoController)),
            ("slurm_load_jobs error: Invalid job id specified", Some(LauncherFailure::NoJob)),
            ("srun: unrecognized option '--bogus'", None),
        ] {
            assert_eq!(Slurm::failure(text), failure, "{text}");
        }
    }
}
