//! This machine: its system calls, and the children that the library runs here.
//!
//! # What it is for
//! Everything that sshpm does on a host begins with a child of the host program: ssh or another launcher
//! (`client.rs`), or a short helper such as `ssh -V` or `squeue` (`local_program.rs`). This room starts such a child,
//! signals it, and takes its exit status. It replaces `std::process::Child`, which changes or expects more of the host
//! program than a library may:
//!
//! - **Starting.** A [`std::process::Command`] describes a child, and [`spawn()`] alone executes it, by posix_spawn(3).
//!   The child gets an empty signal mask, the default disposition of every signal, a process group of its own, its
//!   three streams and no other descriptor. All of that is set in the child. The host program's signal mask is never
//!   touched: a signal that it keeps blocked for signalfd(2) or sigwait(3) stays pending, and no handler of it runs
//!   on a thread of the library. `Command::spawn`, `output` and `status` offer neither a mask nor dispositions, and
//!   resort to fork(2), which copies the page tables of a large program, as soon as a `pre_exec` sets them.
//! - **Signalling.** A [`ChildHandle`] names one process, by a pidfd if the kernel has pidfds, else by pid and start
//!   time. A pid alone is not enough: the host program may reap every child, or ignore SIGCHLD so that the kernel does,
//!   and then another process can get the pid.
//! - **Waiting.** A [`Child`] belongs to the one thread that takes its exit status. The status is unknown if the host
//!   program took it first. That is not an error, because the remote host reports the exit of the application.
//!
//! A session on a shared connection needs no child: `mux.rs` requests it from the ssh client that holds the connection.
//!
//! `sys.rs` has the other system calls. It also starts the library's threads, with all signals blocked.
//!
//! # What it may use
//! std, libc and `parking_lot`, and no other room.
//!
//! # Threads
//! Any thread may spawn. It waits until the child has executed the program, as posix_spawn does. [`ChildHandle`] and
//! [`client::Lifeline`] are shared between threads; [`Child`] and [`client::Client`] belong to one thread. These block:
//! [`Child::wait`] and [`Child::wait_until`], [`client::Client::pump`] and the drop of a client, which kills it and
//! waits for its end, `local_program`, `mux::greet`, `sys::poll` and `sys::lock_directory`. Each system call that a signal can
//! interrupt is repeated, because these calls also run on threads of the host program.
//!
//! # Locks
//! A lifeline has one. It is a leaf: no other lock is taken under it, and nothing blocks under it.
//!
//! # glibc
//! glibc must be 2.24 or newer: an older posix_spawn reports a program that cannot be executed by the child's exit code
//! 127. glibc 2.34 has posix_spawn_file_actions_addclosefrom_np, which is looked up at run time. Without it,
//! [`spawn()`] closes one by one the descriptors that it finds in /proc/self/fd.

mod child;
pub(crate) mod client;
#[cfg(test)]
pub(crate) mod heap;
pub(crate) mod local_program;
pub(crate) mod mux;
mod spawn;
pub(crate) mod sys;

pub(crate) use child::{Child, ChildHandle};
pub(crate) use spawn::{Streams, spawn};
