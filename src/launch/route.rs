//! The ways in which an ssh client reaches a host, and the options that choose one of them.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

/// How an ssh client reaches its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// By a connection of its own.
    Own,
    /// By a connection of its own, which it shares with others at this socket.
    Master(Arc<Path>),
    /// By the connection that another client shares at this socket.
    Shared(Arc<Path>),
}

impl Route {
    /// Returns the name (`$0`) of the shell on the host.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Route::Own | Route::Shared(_) => "sshpm",
            Route::Master(_) => "sshpm-connection",
        }
    }

    /// Returns the options that choose this route, whatever ssh_config says about ControlMaster, ControlPath,
    /// ControlPersist and ProxyJump.
    pub(crate) fn options(&self) -> Vec<OsString> {
        let control_path = |socket: &Path| {
            let mut option = OsString::from("ControlPath=");
            option.push(socket);
            option
        };
        match self {
            // A client that becomes a master for others outlives its own session.
            Route::Own => vec!["ControlMaster=no".into(), "ControlPath=none".into()],
            // A master that persists would not end with its lifeline.
            Route::Master(socket) => {
                vec!["ControlMaster=yes".into(), "ControlPersist=no".into(), control_path(socket)]
            }
            // When the master refuses a session, ssh would log in by itself, without a message. The proxy prevents
            // that.
            Route::Shared(socket) => {
                vec!["ControlMaster=no".into(), control_path(socket), "ProxyCommand=false".into()]
            }
        }
    }
}
