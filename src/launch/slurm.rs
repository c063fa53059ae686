//! A step of a Slurm job: the arguments of srun, and what its messages mean.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use crate::launch::target::{Launch, SshLogin, Target, Traits, command_of, shell};
use crate::local::client::StdoutAs;
use crate::local::local_program;
use crate::model::callback_thread::refuse_inside_callback;
use crate::model::error::{Error, LauncherFailure, Result};
use crate::model::slurm::{Slurm, check_job};
use crate::remote::lease::SilentCut;
use crate::remote::script::BOOTSTRAP;

/// How long one of Slurm's programs may take. srun and squeue try for 9 s to reach a slurmctld that does not answer.
const TIME: Duration = Duration::from_secs(20);

/// The beginning of a step's script. The exit code of a step is always 0, because srun would report another code in the
/// middle of the application's stderr.
const STEP: &str = r#"cd 2>/dev/null; trap "exit 0" EXIT; "#;

impl Launch for Slurm {
    fn check(&self, target: &Target) -> Result<()> {
        check_node(target.host)?;
        target.refuse_other_user("sudo -n -u {user} srun …")
    }

    fn command(&self, target: &Target, _: &SshLogin) -> Result<Command> {
        let mut words = self.arguments(target.host)?;
        words.extend(shell(&format!("{STEP}{BOOTSTRAP}")));
        let mut command = command_of(words);
        clear_environment(&mut command);
        Ok(command)
    }

    fn diagnose(&self, target: &Target, code: Option<i32>, stderr: &[u8]) -> Error {
        target.diagnose_code(code, stderr, recognize)
    }

    fn traits(&self) -> Traits {
        Traits {
            shares_connections: false,
            // srun's second process ends the step when the first one is killed.
            kills_group_with_client: false,
            silent_cut: SilentCut::Input,
            stdout: StdoutAs::Pipe,
            runs_as_own_user: false,
        }
    }
}

impl Slurm {
    /// Asks Slurm for the nodes of the job, and returns them in Slurm's order. They are the hosts for its processes.
    /// Blocks for at most 40 s, or 80 s if KILL does not end Slurm's programs.
    ///
    /// # Errors
    /// [`Error::Launcher`] if Slurm does not know the job, the job has ended, no slurmctld answers, or squeue or
    /// scontrol cannot be executed. [`Error::Invalid`] if a value is invalid or no job is set.
    /// [`Error::InsideCallback`].
    pub fn hosts(&self) -> Result<Vec<String>> {
        refuse_inside_callback()?;
        self.check_fields("launcher")?;
        let job = self.job_id()?;
        let list = self.ask("squeue", &["--noheader", "--format=%N", &format!("--jobs={job}")])?;
        let list = list.trim();
        if list.is_empty() {
            // For some minutes squeue lists a job that has ended, without nodes. Then it does not know the job.
            return Err(failed(LauncherFailure::NoJob, format!("job {job} has no nodes")));
        }
        let hosts = self.ask("scontrol", &["show", "hostnames", list])?;
        Ok(hosts.lines().map(str::to_owned).collect())
    }

    /// Runs one of Slurm's programs, and returns what it writes to stdout.
    fn ask(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let path = self.srun_program.with_file_name(program);
        let mut command = Command::new(&path);
        clear_environment(command.args(arguments));
        let Some(captured) = local_program::run_command(&command, TIME) else {
            return Err(failed(LauncherFailure::NotFound, format!("{} cannot be executed", path.display())));
        };
        let [stdout, stderr] =
            [&captured.stdout, &captured.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        match (captured.code, recognize(&stderr)) {
            (Some(0), _) => Ok(stdout),
            (_, Some(failure)) => Err(failed(failure, stderr)),
            (Some(code), None) => Err(failed(LauncherFailure::Ended(code), stderr)),
            // A host program that reaps all children leaves no code. Output that was cut does not end with a newline.
            (None, None) if stdout.ends_with('\n') && stderr.is_empty() => Ok(stdout),
            (None, None) => Err(failed(LauncherFailure::TimedOut, stderr)),
        }
    }

    /// Returns the number of the job: the one that was set, or that of the environment. Without a number, srun would
    /// queue for a new allocation.
    fn job_id(&self) -> Result<String> {
        if let Some(job) = &self.job {
            return Ok(job.clone());
        }
        let job = std::env::var("SLURM_JOB_ID").or_else(|_| std::env::var("SLURM_JOBID")).unwrap_or_default();
        if job.is_empty() {
            return Err(Error::invalid("launcher.job", "", "must be set where salloc has not set SLURM_JOB_ID"));
        }
        check_job("SLURM_JOB_ID", &job)?;
        Ok(job)
    }

    /// Returns srun and its arguments, without the command that it runs. If an option is given twice, srun takes the
    /// last one.
    fn arguments(&self, host: &str) -> Result<Vec<OsString>> {
        let mut arguments = vec![OsString::from(&self.srun_program)];
        arguments.extend(DEFAULTS.map(OsString::from));
        arguments.extend(self.srun_options.iter().map(OsString::from));
        arguments.push(format!("--jobid={}", self.job_id()?).into());
        arguments.push(format!("--nodelist={host}").into());
        arguments.extend(OURS.map(OsString::from));
        arguments.push("--".into());
        Ok(arguments)
    }
}

/// Refuses a host that srun would take for a list of nodes, or for a file, which is what it takes a slash for.
fn check_node(host: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if host.bytes().all(good) {
        return Ok(());
    }
    Err(Error::invalid("host", host, "must be the name of a node: letters, digits, '.', '_' and '-'"))
}

/// Removes the variables that Slurm's programs would take for options.
fn clear_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_slurms = ["SLURM_", "SRUN_", "SQUEUE_", "SCONTROL_"].iter().any(|begin| text.starts_with(begin));
        if is_slurms && !OF_THE_CLUSTER.contains(&&*text) {
            command.env_remove(&name);
        }
    }
}

/// Returns what the messages of a program of Slurm mean, if they are known.
fn recognize(stderr: &str) -> Option<LauncherFailure> {
    MESSAGES.iter().find(|(text, _)| stderr.contains(text)).map(|(_, failure)| *failure)
}

fn failed(failure: LauncherFailure, stderr: String) -> Error {
    Error::Launcher { launcher: "slurm".to_owned(), host: String::new(), user: None, failure, stderr }
}

/// The options that the caller's options can replace: a step has the environment of this program, all memory and all
/// CPUs of the job on the node, and no MPI, whose set-up would cost time in each step.
const DEFAULTS: [&str; 4] = ["--export=ALL", "--mem=0", "--cpu-bind=none", "--mpi=none"];

/// The options that the caller's options cannot replace: one task, which runs beside other steps and reads stdin. Every
/// node has the directory; for a missing one srun would write a message. `--unbuffered` would make the task's stdout a
/// terminal. Without it, output arrives when its line ends, as all reports do.
const OURS: [&str; 6] = ["--nodes=1", "--ntasks=1", "--overlap", "--quiet", "--input=0", "--chdir=/"];

/// The variables of Slurm that name the cluster, which its programs need. srun takes most of the others for options
/// (labels before lines, files in place of the streams, a prolog that writes to them), and often no argument undoes
/// them. In a program that runs in a job, they have the values of that program's own step. slurmd sets them for the new
/// step.
const OF_THE_CLUSTER: [&str; 3] = ["SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT"];

/// The messages of Slurm 22.05.
const MESSAGES: [(&str, LauncherFailure); 8] = [
    ("Invalid job id specified", LauncherFailure::NoJob),
    ("has expired", LauncherFailure::NoJob),
    // The job belongs to another user.
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
    fn a_host_that_is_no_single_node_is_refused() {
        for host in ["n[1-3]", "n1,n2", "./n1", "^n1"] {
            assert!(check_node(host).is_err(), "{host}");
        }
    }

    /// srun 22.05 wrote these messages.
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
            assert_eq!(recognize(text), failure, "{text}");
        }
    }
}
