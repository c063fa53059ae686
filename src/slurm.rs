//! A Slurm job as a launcher.

use std::path::PathBuf;

use crate::absolute_path::resolve_program;
use crate::check;
use crate::error::{Error, Result};

/// A Slurm job that exists: an allocation of nodes, as `salloc` and `sbatch` make it. Processes are steps of it, each on a node
/// that its request names as its host.
///
/// All of them together may use more CPUs than the job has: they are steps that overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slurm {
    pub(crate) job: Option<String>,
    pub(crate) srun_program: PathBuf,
    pub(crate) srun_options: Vec<String>,
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

    pub(crate) fn resolve_path(&mut self) {
        resolve_program(&mut self.srun_program);
    }

    pub(crate) fn check_fields(&self, field: &str) -> Result<()> {
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
}

/// Refuses what is no number of a job.
pub(crate) fn check_job(field: &str, job: &str) -> Result<()> {
    if job.is_empty() || job.len() > 20 || !job.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::invalid(field, job, "a job is a number"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            match slurm.check_fields("launcher") {
                Err(Error::Invalid { field, .. }) => assert_eq!(field, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
