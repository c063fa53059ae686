//! Applications that are kept: they outlive their link and their manager, and nothing of what they do is lost.
#![allow(clippy::unwrap_used)]

mod life;
mod support;

use life::*;
use sshpm::{BootRequest, ExitSource, LinkLossPolicy, Manager, ProcessState};
use support::{Remote, wait_until};

fn kept(request: BootRequest) -> BootRequest {
    request.link_loss(LinkLossPolicy::Keep)
}

/// Counts on both streams until it is told to end, by a file.
const COUNTS: &str = "trap 'exit 42' HUP; trap 'exit 17' QUIT; echo ready; i=0; \
                      until [ -e \"$GO\" ]; do i=$((i+1)); echo \"out $i\"; echo \"err $i\" >&2; sleep 0.05; done; exit 7";

#[test]
fn one_that_ends_by_itself() {
    let remote = Remote::start();
    let manager = manager(&remote);
    let witness = Witness::new(&manager);
    manager.start_process("u", &kept(shell("echo out; echo err >&2; exit 3"))).unwrap();
    let status = end_of(&manager, "u");
    assert_eq!((status.source(), status.code()), (ExitSource::RemoteMonitoring, Some(3)), "{status}");
    assert_eq!(stdout(&manager, "u"), "out\n");
    assert_eq!(manager.process_stderr("u").unwrap().bytes, b"err\n");
    finish(&manager, &remote);
    assert_eq!(witness.of(manager, "u"), ["started", "exited"]);
}
