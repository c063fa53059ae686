//! Sessions on many hosts, for which an sshd of their own stands: with X11 in the ssh_config of the user, and a
//! thousand processes.

use crate::args::Args;
use crate::floor;
use crate::plan::{Extent, Plan};
use crate::proc::hard_descriptor_limit;
use crate::repeat::{attempt, session};
use crate::rig::Rig;
use crate::samples::{Samples, with_prefix};
use crate::support::find_program;

/// Three for a process, three for its connection, and those of the program: at most this many for each.
const DESCRIPTORS_PER_PROCESS: u64 = 5;

/// Measures boots without and with X11: the user has a display and `ForwardX11 yes` in ssh_config, which applies only if
/// an option of the manager says so too.
pub fn x11(args: &Args, samples: &mut Samples) -> Result<(), String> {
    let (processes, hosts) = args.x11();
    let rig = Rig::start(hosts, true)?;
    let without = rig.plan(Extent::Boot, processes);
    session(&rig, &without, with_prefix("no_x11_"), samples)?;
    let with = Plan { ssh_config: rig.x11_config()?, environment: display(&rig), ..without };
    session(&rig, &with, with_prefix("x11_"), samples)?;
    if find_program("xauth").is_some() {
        let forwarded = Plan { ssh_option: Some("ForwardX11=yes".to_owned()), ..with };
        session(&rig, &forwarded, with_prefix("x11_forwarded_"), samples)?;
    } else {
        samples.note("X11 that is forwarded: xauth is not installed".to_owned());
    }
    attempt(&rig, samples, |samples| floor(&rig, processes, "no_x11_", samples))
}

/// Boots more processes than the soft limit of descriptors allows. The hard one allows them, and the manager may raise
/// the soft one.
pub fn thousand(args: &Args, samples: &mut Samples) -> Result<(), String> {
    let (processes, hosts, limit) = args.thousand();
    let (hard, needed) = (hard_descriptor_limit(), DESCRIPTORS_PER_PROCESS * processes as u64);
    if hard < needed {
        samples.note(format!("boot of {processes}: it needs a hard limit of {needed} open files, and has {hard}"));
        return Ok(());
    }
    let rig = Rig::start(hosts, true)?;
    let plan = Plan { descriptor_limit: Some(limit), ..rig.plan(Extent::Boot, processes) };
    session(&rig, &plan, with_prefix("thousand_"), samples)?;
    attempt(&rig, samples, |samples| floor(&rig, processes, "thousand_", samples))
}

/// Returns the variables of a user with a display. Nothing listens there, so xauth fails at once.
fn display(rig: &Rig) -> Vec<(String, std::path::PathBuf)> {
    vec![("DISPLAY".to_owned(), ":1999".into()), ("XAUTHORITY".to_owned(), rig.dir().join("xauthority"))]
}

/// Measures raw ssh over as many masters as sshpm has used.
fn floor(rig: &Rig, processes: usize, prefix: &str, samples: &mut Samples) -> Result<(), String> {
    let masters = samples.last(&format!("{prefix}logins")).unwrap_or(0.0) as usize;
    let mut of_floor = Samples::default();
    floor::mux(rig, processes, masters, &mut of_floor)?;
    samples.merge(of_floor, with_prefix(prefix));
    Ok(())
}
