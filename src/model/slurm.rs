//! The values of a launcher that starts steps of a Slurm job.

use std::path::PathBuf;

use crate::model::absolute_path::resolve_program;
use crate::model::check;
use crate::model::error::{Error, Result};

/// An existing Slurm job: an allocation of nodes, which `salloc` or `sbatch` has made. Each process is a step of the
/// job, on the node that its boot request names as its host.
///
/// All processes together may use more CPUs than the job has, because their steps overlap.
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
    /// Returns the job that this program runs in, by SLURM_JOB_ID of its environment.
    pub fn new() -> Slurm {
        Slurm::default()
    }

    /// Sets the number of the job. Default: SLURM_JOB_ID of the environment.
    pub fn job(mut self, job: impl Into<String>) -> Slurm {
        self.job = Some(job.into());
        self
    }

    /// Sets the srun program: a path, or a name that is looked up in PATH. sshpm takes scontrol and squeue from the
    /// same place. Default: `srun`.
    pub fn srun_program(mut self, program: impl Into<PathBuf>) -> Slurm {
        self.srun_program = program.into();
        self
    }

    /// Adds an option of srun(1), written `--name=value` or `--name`. The options of this crate win over it: on which
    /// node, with how many tasks, and with which streams the step runs.
    pub fn srun_option(mut self, option: impl Into<String>) -> Slurm {
        self.srun_options.push(option.into());
        self
    }

    /// Makes the path of the srun program absolute if it is relative.
    pub(crate) fn resolve_path(&mut self) {
        resolve_program(&mut self.srun_program);
    }

    /// Refuses values that srun would refuse or misread. `field` names the launcher in errors.
    pub(crate) fn check_fields(&self, field: &str) -> Result<()> {
        if let Some(job) = &self.job {
            check_job(&format!("{field}.job"), job)?;
        }
        if self.srun_program.as_os_str().is_empty() {
            return Err(Error::invalid(
                format!("{field}.srun_program"),
                "",
                "must be the name or the path of a program",
            ));
        }
        for (at, option) in self.srun_options.iter().enumerate() {
            let field = format!("{field}.srun_options[{at}]");
            if !option.starts_with("--") || option.len() == 2 {
                return Err(Error::invalid(field, option, "must be written --name=value or --name"));
            }
            check::text(&field, option.as_bytes(), check::LONGEST_NAME)?;
        }
        Ok(())
    }
}

/// Refuses text that is not the number of a job.
pub(crate) fn check_job(field: &str, job: &str) -> Result<()> {
    if job.is_empty() || job.len() > 20 || !job.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::invalid(field, job, "must be a number"));
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
