//! Applies faults to a lane of the session or to its manager, and undoes them.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crate::dice::Dice;
use crate::early;
use crate::fault::{Fault, Part, Sent, Victim};
use crate::host::Host;
use crate::lane::{Lane, until};
use crate::limits::{self, Members, limit};
use crate::near::Near;
use crate::quota::Quota;
use crate::slot::Slot;
use crate::support::ProcessInfo;

/// The function that undoes a fault.
pub type Undo<'a> = Box<dyn FnOnce() + Send + 'a>;

fn nothing<'a>() -> Undo<'a> {
    Box::new(|| {})
}

/// Returns why a fault cannot be applied on this machine, or `None` if it can.
pub fn missing(fault: Fault, host: &Host, near: &Near) -> Option<String> {
    let needs = |has: bool, what: &str| (!has).then(|| what.to_owned());
    match fault {
        Fault::LinkDown | Fault::LinkCut | Fault::Dropped => needs(near.has_links(), "no network namespaces"),
        Fault::Delayed if !near.has_links() => Some("no network namespaces".into()),
        Fault::Delayed => {
            let undo = delay(host, near).err();
            let _ = near.try_run(&format!("tc qdisc del dev {} root", host.link()));
            undo
        }
        Fault::DiskFull => {
            needs(host.full_disk().is_some(), "the host has no file system of its own that could be filled")
        }
        Fault::ClockForward | Fault::ClockBack => {
            needs(host.has_clock(), "libfaketime is missing, or the host has no file system of its own")
        }
        Fault::EarlyKill(_) => needs(early::is_possible(), "the kernel has no /proc/PID/task/PID/children"),
        Fault::RemoteProcesses | Fault::RemoteQuota => {
            needs(host.user.is_some() || !is_root(), "the only user is root, who has no limit")
        }
        Fault::LocalProcesses => needs(near.has_user() || !is_root(), "the only user is root, who has no limit"),
        _ => None,
    }
}

fn is_root() -> bool {
    // SAFETY: no arguments.
    unsafe { libc::geteuid() == 0 }
}

fn delay(host: &Host, near: &Near) -> Result<(), String> {
    // This is a queue that empties slowly, because the kernel may have no netem.
    near.try_run(&format!("tc qdisc add dev {} root tbf rate 96kbit burst 1540 limit 200000", host.link()))
}

/// Applies a fault to a lane. The victim belongs to the lane's process number `at`.
pub fn apply<'a>(lane: &mut Lane<'a>, fault: Fault, at: usize, dice: &mut Dice) -> Undo<'a> {
    let (host, near) = (lane.host, lane.near);
    match fault {
        Fault::Signal(sent, victim) => {
            let victims = find(lane, victim, sent, at, dice);
            if sent == Sent::Kill && victim == Victim::Wrapper {
                lane.slots[at].excuses.wrapper_killed = true;
            }
            if (sent, victim) == (Sent::Kill, Victim::Client) && victims.is_empty() {
                let uuid = lane.slots[at].uuid.clone();
                lane.close(&uuid);
            }
            signal(sent, victims)
        }
        Fault::LinkDown | Fault::LinkCut => {
            if fault == Fault::LinkCut {
                lane.slots.iter_mut().for_each(|slot| slot.excuses.unreachable = true);
            }
            let link = host.link();
            if dice.below(2) == 0 {
                near.run(&format!("ip link set {link} down"));
                Box::new(move || near.run(&format!("ip link set {link} up")))
            } else {
                host.run("ip link set eth0 down").unwrap();
                Box::new(move || host.run("ip link set eth0 up").unwrap())
            }
        }
        Fault::Dropped => drop_packets(host, near, dice),
        Fault::Delayed => {
            delay(host, near).unwrap();
            Box::new(move || near.run(&format!("tc qdisc del dev {} root", host.link())))
        }
        Fault::DiskFull => fill(host),
        Fault::ClockForward | Fault::ClockBack => {
            let hours = 3600 * (1 + dice.below(5) as i64);
            host.set_clock(if fault == Fault::ClockForward { hours } else { -hours });
            Box::new(move || host.set_clock(0))
        }
        Fault::RemoteDescriptors => {
            // Processes that run need no more descriptors than they have. So the limit is set for sshd, and what it
            // starts from now on inherits it.
            let room = dice.below(6);
            let is_sshd = |process: &ProcessInfo| process.is_sshd();
            Members::of(host).limit(libc::RLIMIT_NOFILE, |process| {
                is_sshd(process).then(|| limits::descriptors_with_room(process.pid, room))
            })
        }
        Fault::RemoteProcesses => Members::of(host).limit(libc::RLIMIT_NPROC, |_| Some(0)),
        Fault::RemoteQuota => {
            // A wrapper that ends may have no process for rm.
            lane.needs_clean_up = true;
            let quota = Quota::begin(Members::of(host), user_of(host), dice.next());
            early::begin_some(lane, dice);
            Box::new(move || drop(quota))
        }
        Fault::FileSize => {
            // A wrapper may fail to write how its application ended.
            lane.needs_clean_up = true;
            // The limit is not for sshd, which writes a log, nor for the applications, whose limits are not sshpm's
            // concern.
            let is_shell =
                |process: &ProcessInfo| !process.is_sshd() && !process.cmdline.iter().any(|word| word == "record");
            Members::of(host).limit(libc::RLIMIT_FSIZE, |process| is_shell(process).then_some(0))
        }
        Fault::Race => {
            lane.race(dice.next());
            nothing()
        }
        Fault::EarlyKill(part) => {
            early::kill(lane, part, dice);
            nothing()
        }
        Fault::UnreadEnd => leave_unread(lane, at, dice),
        Fault::LocalDescriptors | Fault::LocalProcesses | Fault::Supplanted | Fault::Contested => {
            unreachable!("{fault} is a fault of the manager")
        }
    }
}

/// Applies a fault to the manager.
pub fn apply_to_manager<'a>(fault: Fault, manager: ProcessInfo, dice: &mut Dice) -> Undo<'a> {
    match fault {
        Fault::Signal(sent, Victim::Manager) => signal(sent, vec![manager]),
        Fault::EarlyKill(Part::Manager) | Fault::Contested => signal(Sent::Kill, vec![manager]),
        Fault::Supplanted => signal(Sent::Stop, vec![manager]),
        Fault::LocalDescriptors => {
            let room = dice.below(6);
            let limit_to = limits::descriptors_with_room(manager.pid, room);
            limit(manager, libc::RLIMIT_NOFILE, limit_to)
        }
        Fault::LocalProcesses => limit(manager, libc::RLIMIT_NPROC, 0),
        _ => unreachable!("{fault} is a fault of one host"),
    }
}

fn signal<'a>(sent: Sent, victims: Vec<ProcessInfo>) -> Undo<'a> {
    let first = if sent == Sent::Kill { libc::SIGKILL } else { libc::SIGSTOP };
    for victim in &victims {
        // A victim may have just ended by itself, and the signal then fails.
        let _ = victim.signal(first);
    }
    if sent == Sent::Kill {
        return nothing();
    }
    Box::new(move || {
        for victim in &victims {
            let _ = victim.signal(libc::SIGCONT);
        }
    })
}

/// Stops one end of a connection, makes an application and all kept ones exit, and then breaks the connection.
fn leave_unread<'a>(lane: &Lane, at: usize, dice: &mut Dice) -> Undo<'a> {
    let victim = *dice.pick(&[Victim::Master, Victim::Session]);
    let victims = find(lane, victim, Sent::Stop, at, dice);
    for victim in &victims {
        let _ = victim.signal(libc::SIGSTOP);
    }
    lane.slots[at].signal(libc::SIGUSR1);
    lane.end_kept();
    // An application that writes more at its end than a pipe holds blocks until the link breaks.
    until(Duration::from_millis(500), || lane.slots[at].life()?.end);
    Box::new(move || {
        for victim in &victims {
            let _ = victim.signal(libc::SIGKILL);
        }
    })
}

/// Returns the user whose limits are lowered on a host.
fn user_of(host: &Host) -> u32 {
    // SAFETY: no arguments.
    host.user.as_ref().map_or_else(|| unsafe { libc::geteuid() }, |user| user.uid)
}

/// Returns the processes of a victim: several, one, or none if they are gone.
fn find(lane: &Lane, victim: Victim, sent: Sent, at: usize, dice: &mut Dice) -> Vec<ProcessInfo> {
    let uuid = lane.slots[at].uuid.clone();
    let Ok([client, application, wrapper]) = lane.pids(&uuid) else { return Vec::new() };
    let client = ProcessInfo::of(client);
    match victim {
        Victim::Client => client.into_iter().collect(),
        Victim::Master => {
            let is_master = |process: &ProcessInfo| {
                process.cmdline.last().is_some_and(|word| word.as_bytes().ends_with(b" sshpm-connection"))
                    && process.cmdline.iter().any(|word| *word == *lane.host.name)
            };
            let mut masters = lane.near.processes();
            masters.retain(is_master);
            match client.as_ref().and_then(socket_of) {
                Some(socket) => masters.retain(|master| socket_of(master).as_ref() == Some(&socket)),
                // A process without a client may be on any connection to its host.
                None if masters.is_empty() => {}
                None => masters = vec![masters.swap_remove(dice.below(masters.len()))],
            }
            masters
        }
        Victim::Session => {
            // A kept process whose link was lost is no descendant of an sshd. Then the victim is the connection of
            // another process.
            let below = |slot: &Slot| lane.host.sshds_above(slot.life().map_or(0, |life| life.pid));
            let slots = lane.slots[at..].iter().chain(&lane.slots[..at]);
            let mut sshds = slots.map(below).find(|sshds| !sshds.is_empty()).unwrap_or_default();
            // The victim is the user's sshd process, its monitor, or both. Stopping the monitor alone has no effect.
            if sshds.len() == 2 && sent != Sent::Stop && dice.below(3) > 0 {
                sshds.remove(dice.below(2));
            }
            sshds
        }
        Victim::Listener => lane.host.listener().into_iter().collect(),
        Victim::Wrapper => ProcessInfo::of(wrapper).into_iter().collect(),
        Victim::Reader => {
            // The reader is a child of the wrapper's other child, which starts a new reader when that one ends.
            let all = crate::support::processes();
            let child_of =
                |parent: i32| all.iter().find(|p| p.ppid == parent && p.pid != application && !p.is_zombie()).cloned();
            child_of(wrapper).and_then(|attendant| child_of(attendant.pid)).into_iter().collect()
        }
        Victim::Manager => unreachable!("the manager belongs to no host"),
    }
}

/// Returns the socket that the command line of an ssh client names.
fn socket_of(client: &ProcessInfo) -> Option<Vec<u8>> {
    client.cmdline.iter().find_map(|word| word.as_bytes().strip_prefix(b"ControlPath=")).map(<[u8]>::to_vec)
}

/// Drops a part of a host's packets, or all of them if nft cannot be used.
fn drop_packets<'a>(host: &'a Host, near: &'a Near, dice: &mut Dice) -> Undo<'a> {
    let (table, link) = (format!("faults{}", host.number), host.link());
    let percent = 20 + dice.below(40);
    let made = near.try_run(&format!("nft add table inet {table}")).and_then(|()| {
        for (hook, side) in [("output", "oifname"), ("input", "iifname")] {
            near.try_run(&format!("nft add chain inet {table} {hook} {{ type filter hook {hook} priority 0 ; }}"))?;
            near.try_run(&format!(
                "nft add rule inet {table} {hook} {side} {link} numgen random mod 100 < {percent} drop"
            ))?;
        }
        Ok(())
    });
    match made {
        Ok(()) => Box::new(move || near.run(&format!("nft delete table inet {table}"))),
        // Packets go to a hardware address that no interface has.
        Err(_) => {
            let neighbour = format!("10.211.{}.2 dev {link}", host.number);
            near.run(&format!("ip neigh replace {neighbour} lladdr 02:00:00:00:00:01 nud permanent"));
            Box::new(move || near.run(&format!("ip neigh del {neighbour}")))
        }
    }
}

fn fill<'a>(host: &'a Host) -> Undo<'a> {
    let filler = host.full_disk().expect("missing() has checked it").join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    for size in [1 << 16, 1] {
        let block = vec![b'f'; size];
        while file.write_all(&block).is_ok() {}
    }
    Box::new(move || fs::remove_file(filler).unwrap())
}
