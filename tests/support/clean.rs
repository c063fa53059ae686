//! What the programs that the tests start inherit: nothing that depends on how the tests themselves were started.
//! Used by the harness and, in test-app, by its guard and its relay.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

/// Has a program begin as after a login: with no signal ignored or blocked, and no descriptor but its streams. The
/// tests may have been started by `nohup … &` in a script, with HUP, INT and QUIT ignored.
pub fn begin_clean(command: &mut Command) -> &mut Command {
    // SAFETY: it makes system calls only, which may be done after a fork.
    unsafe { command.pre_exec(reset) }
}

fn reset() -> io::Result<()> {
    // The kernel's own calls, because the libc's leave out two signals, 32 and 33. A struct sigaction of zeros is
    // SIG_DFL, and a set of 64 signals has 8 bytes.
    let (default_action, no_signals) = ([0u64; 4], 0u64);
    // SAFETY: the pointers are to this frame's variables; the other arguments are integers.
    unsafe {
        for signal in 1..=64 {
            // It fails for KILL and STOP, which are always at their default.
            libc::syscall(libc::SYS_rt_sigaction, signal, &default_action, ptr::null::<u64>(), 8);
        }
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &no_signals, ptr::null::<u64>(), 8);
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
    Ok(())
}
