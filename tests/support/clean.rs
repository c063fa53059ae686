//! Makes the programs that the tests start independent of how the tests themselves were started. The harness uses this,
//! and in test-app the guard and the relay do.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

/// Has a program begin as after a login: no signal is ignored or blocked, and no descriptor is open but its streams.
/// The tests may have been started by `nohup … &` in a script, which ignores HUP, INT and QUIT.
pub fn begin_clean(command: &mut Command) -> &mut Command {
    // SAFETY: it makes system calls only, which may be done after a fork.
    unsafe { command.pre_exec(reset) }
}

fn reset() -> io::Result<()> {
    // These are the kernel's own calls, because libc's leave out two signals, 32 and 33. A struct sigaction of zeros is
    // SIG_DFL, and a set of 64 signals has 8 bytes.
    let (default_action, no_signals) = ([0u64; 4], 0u64);
    // SAFETY: the pointers are to this frame's variables; the other arguments are integers.
    unsafe {
        for signal in 1..=64 {
            // The call fails for KILL and STOP, which always have their default action.
            libc::syscall(libc::SYS_rt_sigaction, signal, &default_action, ptr::null::<u64>(), 8);
        }
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &no_signals, ptr::null::<u64>(), 8);
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
    Ok(())
}
