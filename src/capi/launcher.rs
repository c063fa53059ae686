//! Launchers: by what shells are started on hosts.

use std::ffi::{OsStr, c_char};
use std::mem;

use super::boundary::{Failure, call, free, give};
use super::codes::sshpm_result;
use super::input::{array, bytes, handle, handle_mut, output, text, text_or_null};
use super::strings::sshpm_string_list;
use crate::{Error, Launcher, Slurm};

/// By what a process gets the shell on its host that starts and watches it: ssh, a shell on this machine, a command of
/// the caller's, or Slurm. All else is the same for all of them: states, events, kills, output. What one of them cannot
/// do is refused with SSHPM_ERROR_INVALID before anything starts.
pub struct sshpm_launcher {
    pub(super) launcher: Launcher,
}

/// Makes a launcher that is the system's ssh: for hosts and requests of a manager that has another one. Without any
/// launcher, a manager has this one.
///
/// Any thread. Does not block.
///
/// @param out_launcher Gets the launcher. It is the caller's, to be freed with sshpm_launcher_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_launcher_new_ssh(out_launcher: *mut *mut sshpm_launcher) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a place for the output.
        let out_launcher = unsafe { output(out_launcher, "out_launcher")? };
        give(out_launcher, sshpm_launcher { launcher: Launcher::Ssh });
        Ok(())
    })
}

/// Makes a launcher that is `/bin/sh` on this machine, as this program's user, with its environment and, at first, in
/// its home directory. The host is a name and no more: every host is this machine.
///
/// Any thread. Does not block.
///
/// @param out_launcher Gets the launcher. It is the caller's, to be freed with sshpm_launcher_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_launcher_new_local(out_launcher: *mut *mut sshpm_launcher) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointer is NULL or points to a place for the output.
        let out_launcher = unsafe { output(out_launcher, "out_launcher")? };
        give(out_launcher, sshpm_launcher { launcher: Launcher::Local });
        Ok(())
    })
}

/// Makes a launcher that is a command, such as `docker exec -i {host}`. It has to run what is appended to it:
/// `/bin/sh`, `-c`, a script, and `sshpm`, four arguments, none of which another shell may read. `{host}`, `{user}` and
/// `{uuid}` in its arguments stand for those of the process. It has to pass stdin, stdout and stderr on as they are,
/// without a terminal, and the end of its stdin too. The environment and the first directory are what the command
/// gives.
///
/// Any thread. Does not block.
///
/// @param argv The program, a path or a name that is looked up in PATH, and its arguments: any bytes. Copied. It need
/// not end with NULL.
/// @param argc Their number.
/// @param out_launcher Gets the launcher. It is the caller's, to be freed with sshpm_launcher_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID for a number that no array can have. Values are
/// checked by sshpm_manager_new and sshpm_boot_request_check.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_launcher_new_command(
    argv: *const *const c_char,
    argc: usize,
    out_launcher: *mut *mut sshpm_launcher,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to `argc` pointers and a place for the output.
        let (argv, out_launcher) = unsafe { (array(argv, argc, "argv")?, output(out_launcher, "out_launcher")?) };
        // SAFETY: each is NULL or points to a string.
        let word = |(at, word): (usize, &*const c_char)| unsafe { bytes(*word, &format!("argv[{at}]")) };
        let argv: Vec<&OsStr> = argv.iter().enumerate().map(word).collect::<Result<_, Failure>>()?;
        give(out_launcher, sshpm_launcher { launcher: Launcher::command(argv) });
        Ok(())
    })
}

/// Makes a launcher that starts steps of a Slurm job that exists, as `salloc` and `sbatch` make it: hosts are nodes of
/// the job. All its processes together may use more CPUs than the job has.
///
/// Any thread. Does not block.
///
/// @param job The job's number; UTF-8. Copied. NULL: the job that this program runs in, which is SLURM_JOB_ID of its
/// environment.
/// @param out_launcher Gets the launcher. It is the caller's, to be freed with sshpm_launcher_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. Values are checked by sshpm_manager_new and
/// sshpm_boot_request_check.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_launcher_new_slurm(
    job: *const c_char,
    out_launcher: *mut *mut sshpm_launcher,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a string and a place for the output.
        let (job, out_launcher) = unsafe { (text_or_null(job, "job")?, output(out_launcher, "out_launcher")?) };
        let slurm = job.map_or_else(Slurm::new, |job| Slurm::new().job(job));
        give(out_launcher, sshpm_launcher { launcher: Launcher::Slurm(slurm) });
        Ok(())
    })
}

/// Frees a launcher. Options and requests that it was set in keep their copy.
///
/// Any thread. Does not block.
///
/// @param launcher The launcher. NULL: nothing is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_launcher_free(launcher: *mut sshpm_launcher) {
    // SAFETY: the caller's pointer is NULL or points to a launcher that nobody uses any more.
    unsafe { free(launcher) };
}

/// Sets the srun program. scontrol and squeue are taken from where it is. Default: "srun".
///
/// One thread at a time for the same launcher. Does not block.
///
/// @param launcher A launcher of sshpm_launcher_new_slurm.
/// @param program A path, or a name that is looked up in PATH. Copied.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID for a launcher that is not Slurm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_launcher_set_srun_program(
    launcher: *mut sshpm_launcher,
    program: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a launcher that only this thread uses and a string.
        let (this, program) = unsafe { (handle_mut(launcher, "launcher")?, bytes(program, "program")?) };
        change(this, |slurm| slurm.srun_program(program))
    })
}

/// Adds an option of srun(1). It stands before the library's own, which win: where, as what, and with which streams the
/// step runs.
///
/// One thread at a time for the same launcher. Does not block.
///
/// @param launcher A launcher of sshpm_launcher_new_slurm.
/// @param option "--name=value" or "--name"; UTF-8. Copied. sshpm_manager_new and sshpm_boot_request_check check it.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8, SSHPM_ERROR_INVALID for a launcher that is not Slurm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_launcher_add_srun_option(
    launcher: *mut sshpm_launcher,
    option: *const c_char,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a launcher that only this thread uses and a string.
        let (this, option) = unsafe { (handle_mut(launcher, "launcher")?, text(option, "option")?) };
        change(this, |slurm| slurm.srun_option(option))
    })
}

/// Asks Slurm for the nodes of the job, which are the hosts for its processes, in Slurm's order.
///
/// Any thread. Blocks at most for 40 s, and 80 s where Slurm's programs do not end of SIGKILL.
///
/// @param launcher A launcher of sshpm_launcher_new_slurm.
/// @param out_hosts Gets the names. They are the caller's, to be freed with sshpm_string_list_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID for a launcher that is not Slurm, for values that
/// are not valid, and where no job is given and there is none in the environment. SSHPM_ERROR_LAUNCHER_NO_JOB: Slurm
/// does not know the job, or it has ended. SSHPM_ERROR_LAUNCHER_NO_CONTROLLER. SSHPM_ERROR_LAUNCHER_NOT_FOUND: squeue
/// or scontrol is not there. SSHPM_ERROR_LAUNCHER_ENDED, SSHPM_ERROR_LAUNCHER_TIMED_OUT: of one of them.
/// SSHPM_ERROR_INSIDE_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_launcher_get_hosts(
    launcher: *const sshpm_launcher,
    out_hosts: *mut *mut sshpm_string_list,
) -> sshpm_result {
    call(|| {
        // SAFETY: the caller's pointers are NULL, or point to a launcher and a place for the output.
        let (this, out_hosts) = unsafe { (handle(launcher, "launcher")?, output(out_hosts, "out_hosts")?) };
        let Launcher::Slurm(slurm) = &this.launcher else { return Err(no_slurm(&this.launcher)) };
        give(out_hosts, sshpm_string_list::new(slurm.hosts()?));
        Ok(())
    })
}

fn change(this: &mut sshpm_launcher, change: impl FnOnce(Slurm) -> Slurm) -> Result<(), Failure> {
    let Launcher::Slurm(slurm) = &mut this.launcher else { return Err(no_slurm(&this.launcher)) };
    *slurm = change(mem::take(slurm));
    Ok(())
}

fn no_slurm(launcher: &Launcher) -> Failure {
    Error::invalid("launcher", launcher.name(), "must be a launcher of sshpm_launcher_new_slurm").into()
}
