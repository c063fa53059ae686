//! Launchers: how the library obtains shells on hosts.

use std::ffi::{OsStr, c_char};
use std::mem;

use super::boundary::{Failure, call, free, give};
use super::codes::sshpm_result;
use super::input::{array, bytes, handle, handle_mut, output, text, text_or_null};
use super::strings::sshpm_string_list;
use crate::{Error, Launcher, Slurm};

/// How the library obtains the shell that starts and supervises a process on its host: by ssh, as a shell on this
/// machine, by a command of the caller, or by Slurm. States, events, kills and output are the same for all launchers.
/// The library refuses what a launcher cannot do with SSHPM_ERROR_INVALID, before anything starts.
pub struct sshpm_launcher {
    pub(super) launcher: Launcher,
}

/// Makes a launcher that uses the system's ssh. A manager without a launcher uses ssh, too; this launcher is for hosts
/// and requests of a manager that has another launcher. In JSON "ssh".
///
/// Any thread. Does not block.
///
/// @param out_launcher Receives the launcher. It is the caller's, to be freed with sshpm_launcher_free.
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

/// Makes a launcher that runs `/bin/sh` on this machine, as the user of this program and with the environment of this
/// program. The shell starts in the user's home directory. The host is only a name: every host is this machine. In JSON
/// "local".
///
/// Any thread. Does not block.
///
/// @param out_launcher Receives the launcher. It is the caller's, to be freed with sshpm_launcher_free.
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

/// Makes a launcher that runs a command, such as `docker exec -i {host}`. The library appends four arguments to the
/// command, which must execute them and let no other shell read them: `/bin/sh`, `-c`, a script, and `sshpm`. In the
/// command's own arguments, `{host}`, `{user}` and `{uuid}` stand for those of the process. The command must pass
/// stdin, stdout and stderr on unchanged and without a terminal, and also pass on the end of its stdin. The command
/// determines the environment and the directory in which the shell starts. In JSON
/// {"command": ["docker", "exec", "-i", "{host}"]}.
///
/// Any thread. Does not block.
///
/// @param argv The program, which is a path or a name that is looked up in PATH, and its arguments: any bytes. Copied.
/// It need not end with NULL.
/// @param argc The number of elements of argv.
/// @param out_launcher Receives the launcher. It is the caller's, to be freed with sshpm_launcher_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID for a number of elements that no array can have.
/// sshpm_manager_new and sshpm_boot_request_check check the values.
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

/// Makes a launcher that starts steps of a Slurm job, which `salloc` or `sbatch` has made: one step for each process.
/// The hosts are the nodes of the job. The steps share the CPUs of the job, so there can be more processes than CPUs.
/// In JSON "slurm", or {"slurm": {"job": "4711", "srun_program": "srun", "srun_options": ["--mem=1G"]}}, in which each
/// key can be left out.
///
/// Any thread. Does not block.
///
/// @param job The job's number; UTF-8. Copied. NULL: the job that this program runs in, which SLURM_JOB_ID in its
/// environment names.
/// @param out_launcher Receives the launcher. It is the caller's, to be freed with sshpm_launcher_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_UTF8. sshpm_manager_new and sshpm_boot_request_check check
/// the values.
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

/// Frees a launcher. Options and requests that it was set in keep their copies.
///
/// Any thread. Does not block.
///
/// @param launcher The launcher. NULL: does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sshpm_launcher_free(launcher: *mut sshpm_launcher) {
    // SAFETY: the caller's pointer is NULL or points to a launcher that nobody uses any more.
    unsafe { free(launcher) };
}

/// Sets the srun program. The library takes scontrol and squeue from the same place. Default: "srun".
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

/// Adds an option of srun(1). The library's own options follow it and override it: they determine the job, the node,
/// the task, the directory and the streams of the step.
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
/// Any thread. Blocks at most for 40 s, or for 80 s when Slurm's programs do not end after SIGKILL.
///
/// @param launcher A launcher of sshpm_launcher_new_slurm.
/// @param out_hosts Receives the names. They are the caller's, to be freed with sshpm_string_list_free.
/// @return SSHPM_OK, SSHPM_ERROR_NULL_ARGUMENT, SSHPM_ERROR_INVALID for a launcher that is not Slurm, for values that
/// are not valid, and when neither the launcher nor the environment names a job. SSHPM_ERROR_LAUNCHER_NO_JOB: Slurm
/// does not know the job, or it has ended. SSHPM_ERROR_LAUNCHER_NO_CONTROLLER: no slurmctld answers.
/// SSHPM_ERROR_LAUNCHER_NOT_FOUND: squeue or scontrol was not found. SSHPM_ERROR_LAUNCHER_ENDED,
/// SSHPM_ERROR_LAUNCHER_TIMED_OUT: squeue or scontrol failed, or did not end in time. SSHPM_ERROR_INSIDE_CALLBACK.
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
