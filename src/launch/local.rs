//! A shell on this machine.

use std::ffi::OsString;
use std::process::Command;

use crate::launch::target::{Launch, SshLogin, Target, Traits, command_of};
use crate::local::client::StdoutAs;
use crate::model::error::{Error, Result};
use crate::remote::lease::SilentCut;
use crate::remote::script::BOOTSTRAP;

/// Starts the wrapper's shell as a child of the client, so that killing the client does not kill the wrapper. Without
/// `exit`, some shells would replace themselves by their last command.
const LOCAL: &str = r#"cd 2>/dev/null; /bin/sh -c "$0" sshpm; exit"#;

/// `/bin/sh` on this machine.
pub(crate) struct Local;

impl Launch for Local {
    fn check(&self, target: &Target) -> Result<()> {
        target.refuse_other_user("sudo -n -u {user}")
    }

    fn command(&self, _: &Target, _: &SshLogin) -> Result<Command> {
        Ok(command_of(["/bin/sh", "-c", LOCAL, BOOTSTRAP].map(OsString::from)))
    }

    fn diagnose(&self, target: &Target, code: Option<i32>, stderr: &[u8]) -> Error {
        target.diagnose_code(code, stderr, |_| None)
    }

    fn traits(&self) -> Traits {
        Traits {
            shares_connections: false,
            kills_group_with_client: true,
            // There is no network that could be cut, but this program can stop while a child that it has forked holds
            // the lifeline open.
            silent_cut: SilentCut::Input,
            stdout: StdoutAs::Pipe,
            runs_as_own_user: true,
        }
    }
}
