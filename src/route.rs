//! The ways of ssh to a host, and the options that choose one.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

/// How a session comes to its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// Over a connection of its own.
    Own,
    /// Over a connection of its own, which others can use by this socket.
    Master(Arc<Path>),
    /// Over the connection of this socket.
    Shared(Arc<Path>),
}

impl Route {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Route::Own | Route::Shared(_) => "sshpm",
            Route::Master(_) => "sshpm-connection",
        }
    }

    /// The options that make it so, whatever ssh_config says of ControlMaster, ControlPath, ControlPersist and ProxyJump.
    pub(crate) fn options(&self) -> Vec<OsString> {
        let control_path = |socket: &Path| {
            let mut option = OsString::from("ControlPath=");
            option.push(socket);
            option
        };
        match self {
            // A client that becomes somebody's master outlives its process.
            Route::Own => vec!["ControlMaster=no".into(), "ControlPath=none".into()],
            // One that persists would not end with its lifeline.
            Route::Master(socket) => {
                vec!["ControlMaster=yes".into(), "ControlPersist=no".into(), control_path(socket)]
            }
            // When the master refuses a session, ssh goes on to log in by itself, without a word: the proxy forbids that.
            Route::Shared(socket) => {
                vec!["ControlMaster=no".into(), control_path(socket), "ProxyCommand=false".into()]
            }
        }
    }
}
