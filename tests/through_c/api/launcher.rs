//! Launchers. Those of Rust are values that can be copied and changed, so a handle is made when a launcher is used.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::Result;
use crate::c;
use crate::input::{Owned, check, pointer, strings, text, text_or_null};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Launcher {
    #[default]
    Ssh,
    Local,
    Command(Vec<OsString>),
    Slurm(Slurm),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slurm {
    job: Option<String>,
    srun_program: Option<PathBuf>,
    srun_options: Vec<String>,
}

impl Launcher {
    pub fn command<A: Into<OsString>>(argv: impl IntoIterator<Item = A>) -> Launcher {
        Launcher::Command(argv.into_iter().map(Into::into).collect())
    }

    /// Returns the launcher as a handle of C.
    pub(crate) fn handle(&self) -> Result<Owned<c::sshpm_launcher>> {
        // SAFETY, of all blocks below: an output that is a local, and strings that live during the call, as many as it
        // is told.
        let free = c::sshpm_launcher_free;
        match self {
            // SAFETY: as above.
            Launcher::Ssh => Owned::given(free, |out| unsafe { c::sshpm_launcher_new_ssh(out) }),
            // SAFETY: as above.
            Launcher::Local => Owned::given(free, |out| unsafe { c::sshpm_launcher_new_local(out) }),
            Launcher::Command(argv) => {
                let word = |(at, word): (usize, &OsString)| text(&format!("launcher.command[{at}]"), word.as_bytes());
                let argv = argv.iter().enumerate().map(word).collect::<Result<Vec<_>>>()?;
                let argv: Vec<_> = argv.iter().map(|word| word.as_ptr()).collect();
                // SAFETY: as above.
                Owned::given(free, |out| unsafe { c::sshpm_launcher_new_command(argv.as_ptr(), argv.len(), out) })
            }
            Launcher::Slurm(slurm) => slurm.handle(),
        }
    }
}

impl Slurm {
    pub fn new() -> Slurm {
        Slurm::default()
    }

    pub fn job(mut self, job: impl Into<String>) -> Slurm {
        self.job = Some(job.into());
        self
    }

    pub fn srun_program(mut self, program: impl Into<PathBuf>) -> Slurm {
        self.srun_program = Some(program.into());
        self
    }

    pub fn srun_option(mut self, option: impl Into<String>) -> Slurm {
        self.srun_options.push(option.into());
        self
    }

    pub fn hosts(&self) -> Result<Vec<String>> {
        let launcher = self.handle()?;
        // SAFETY: a launcher that is ours, and an output that is a local.
        strings(|out| unsafe { c::sshpm_launcher_get_hosts(launcher.get(), out) })
    }

    fn handle(&self) -> Result<Owned<c::sshpm_launcher>> {
        let job = text_or_null("launcher.job", self.job.as_deref())?;
        let launcher = Owned::given(c::sshpm_launcher_free, |out| {
            // SAFETY: a string or NULL, and an output that is a local.
            unsafe { c::sshpm_launcher_new_slurm(pointer(&job), out) }
        })?;
        if let Some(program) = &self.srun_program {
            let program = text("launcher.srun_program", program.as_os_str().as_bytes())?;
            // SAFETY: a launcher that is ours, and a string.
            check(unsafe { c::sshpm_launcher_set_srun_program(launcher.get(), program.as_ptr()) })?;
        }
        for (at, option) in self.srun_options.iter().enumerate() {
            let option = text(&format!("launcher.srun_options[{at}]"), option)?;
            // SAFETY: a launcher that is ours, and a string.
            check(unsafe { c::sshpm_launcher_add_srun_option(launcher.get(), option.as_ptr()) })?;
        }
        Ok(launcher)
    }
}
