//! This machine: the children that the library runs here.
//!
//! # What it is for
//! Everything that sshpm does on a host begins with a child of the host program: ssh or another launcher
//! (`src/client.rs`), or a short helper such as `ssh -V` or `squeue` (`src/local_program.rs`). This room starts such
//! a child, signals it, and takes its exit status. It replaces `std::process::Child`, which changes or expects more of
//! the host program than a library may:
//!
//! - **Starting.** A [`std::process::Command`] describes a child, and [`spawn()`] alone executes it, by posix_spawn(3).
//!   The child gets an empty signal mask, the default disposition of every signal, a process group of its own, its
//!   three streams and no other descriptor. All of that is set in the child. The host program's signal mask is never
//!   touched: a signal that it keeps blocked for signalfd(2) or sigwait(3) stays pending, and no handler of it runs
//!   on a thread of the library. `Command::spawn`, `output` and `status` offer neither a mask nor dispositions, and
//!   resort to fork(2), which copies the page tables of a large program, as soon as a `pre_exec` sets them.
//! - **Signalling.** A [`ChildHandle`] names one process, by a pidfd where the kernel has them, and else by pid and
//!   start time. The host program may reap every child, or ignore SIGCHLD so that the kernel does; a pid alone could
//!   be somebody else's by then.
//! - **Waiting.** A [`Child`] belongs to the one thread that takes its exit status. The status is unknown when the
//!   host program was faster, and that is no error: what the application came to is reported by its host.
//!
//! # What it may use
//! std, libc and `src/sys.rs`, and nothing else of the crate.
//!
//! # Threads
//! Any thread may spawn; it waits until the child has executed the program, as posix_spawn does. [`ChildHandle`] is
//! shared between threads, and [`Child`] is not. [`Child::wait`] and [`Child::wait_until`] block, and nothing else
//! does. No call holds a lock of the library. Each system call that a signal can interrupt is repeated, because these
//! calls run on threads of the host program, too.
//!
//! # glibc
//! 2.24 is the smallest: an older posix_spawn reports a program that cannot be executed by the child's exit code 127.
//! 2.34 brings posix_spawn_file_actions_addclosefrom_np, which is looked up at run time; without it, [`spawn()`] closes
//! the descriptors one by one that it finds in /proc/self/fd.

mod child;
mod spawn;

pub(crate) use child::{Child, ChildHandle};
pub(crate) use spawn::{Streams, spawn};
