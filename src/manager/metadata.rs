//! The metadata file: what a wrapper writes about its process, in a file on the host, while the process lives.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::connect::call::{self, ScriptRun};
use crate::connect::seats::Kind;
use crate::local::sys;
use crate::manager::collect;
use crate::model::check;
use crate::model::error::{Error, FileProblem, Result, printable};
use crate::model::json;
use crate::model::link_loss::LinkLossPolicy;
use crate::model::ready::Ready;
use crate::model::time;
use crate::remote::parameters;
use crate::remote::script::short_script;
use crate::remote::start::READ_METADATA;
use crate::watch::inquiry::INQUIRY_TIMEOUT;
use crate::watch::shared::Shared;

/// More bytes than any metadata file has. What a host sends beyond them is not kept.
pub(crate) const LARGEST: usize = 1 << 16;

/// The longest reason, in characters, why a file is no metadata file: serde quotes whole values.
const LONGEST_REASON: usize = 200;

/// The content of a metadata file. What a file lacks is empty, 0 or the default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ProcessMetadata {
    /// The application's pid on its host.
    pub pid: i64,
    /// The host, as the boot request names it.
    pub hostname: String,
    /// The user whom the process has on its host.
    pub user: String,
    /// When the process was started, in seconds since 1970, by the clock of the manager's machine.
    pub started_at: f64,
    /// The place of the process in the session's tree, as the boot request gives it.
    #[serde(default)]
    pub tree_id: String,
    /// The name of the process's role.
    #[serde(default)]
    pub role: String,
    /// The name of the process, as the boot request gives it.
    #[serde(default)]
    pub name: String,
    /// The session of the process, as the boot request gives it.
    #[serde(default)]
    pub session: String,
    /// The start time of the application by the host's kernel: on Linux, in clock ticks since boot. With the pid
    /// and the boot id, it names one process for ever.
    #[serde(default)]
    pub start_time: String,
    /// The id of the host's boot; `-` if it is not known.
    #[serde(default)]
    pub boot_id: String,
    /// What happens to the process when its link or its manager is gone.
    #[serde(default)]
    pub link_loss: LinkLossPolicy,
    /// The log file, as the boot request gives it. `None` if the process has none.
    #[serde(default)]
    pub log_file: Option<PathBuf>,
    /// How many seconds the application may live after HUP; infinite if the boot request sets no limit.
    #[serde(default)]
    pub grace: f64,
    #[serde(default)]
    pub(crate) instance: String,
    /// How the application shows that it is ready, and how many seconds it may take.
    #[serde(default)]
    pub(crate) ready: Option<Ready>,
    #[serde(default)]
    pub(crate) ready_timeout: f64,
}

impl ProcessMetadata {
    /// Parses the content of a metadata file. The error names `uuid`. Does not block.
    ///
    /// # Errors
    /// [`Error::BadMetadata`]: the content is empty, cut off or no JSON, or its pid is not one of an application. Such
    /// a pid must never get a signal: 0, 1 and negative numbers stand for the caller's process group, init, and all
    /// processes.
    pub fn from_json(uuid: &str, json: &[u8]) -> Result<ProcessMetadata> {
        let bad = |reason: String| Error::BadMetadata {
            uuid: uuid.to_owned(),
            reason: printable(&reason).chars().take(LONGEST_REASON).collect(),
        };
        let mut metadata: ProcessMetadata = json::object(json).map_err(|e| bad(e.to_string()))?;
        if metadata.pid <= 1 || metadata.pid > i64::from(i32::MAX) {
            return Err(bad(format!("its pid is {}", metadata.pid)));
        }
        if let Some(ready) = &metadata.ready {
            ready.check().map_err(|error| bad(error.to_string()))?;
        }
        // JSON has no infinity: the file has the seconds of the longest `Duration`.
        if let Some(grace) = time::to_duration(metadata.grace) {
            metadata.grace = time::from_duration(grace);
        }
        Ok(metadata)
    }
}

/// Returns the path of the metadata file of a process, as a shell on its host would read it. Wrappers use other
/// directories if this one does not belong to the user. Does not block.
pub fn metadata_file_path(uuid: &str) -> String {
    // The Python class gave the directory its name; `sh/directories.sh` has all of them.
    format!("${{XDG_RUNTIME_DIR:-/tmp}}/drunc/metadata_{uuid}.json")
}

/// Waits on the host for the metadata file of a process, and reads it.
pub(crate) fn read(
    shared: &Shared,
    uuid: &str,
    host: &str,
    user: Option<&str>,
    timeout: Duration,
) -> Result<ProcessMetadata> {
    check::uuid(uuid)?;
    let target = shared.target(host, user, Some(uuid))?;
    let tenths = (timeout.as_millis() / 100).min(36_000).to_string();
    let values = [(parameters::UUID, uuid.as_bytes()), (parameters::WAIT_TENTHS, tenths.as_bytes())];
    let deadline = sys::deadline(timeout.saturating_add(INQUIRY_TIMEOUT));
    let line = |nonce: &_| short_script(nonce, &values, READ_METADATA);
    // Long, because it can wait for the file.
    let script = ScriptRun::new(target, deadline, Kind::Long, &line);
    let what = || format!("the metadata file of process {uuid:?} on {host}");
    match collect::file(&shared.pool, &script, LARGEST).map_err(|error| call::timed_out_in(error, timeout, what))? {
        Ok(json) => ProcessMetadata::from_json(uuid, &json),
        Err(_) => {
            let (host, path) = (host.to_owned(), metadata_file_path(uuid));
            Err(Error::RemoteFile { host, path, problem: FileProblem::Missing })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(pid: &str) -> String {
        format!(
            r#"{{"pid":{pid},"hostname":"h","user":"u","started_at":1.5,"tree_id":"0","role":"r","name":"n","new":1}}"#
        )
    }

    #[test]
    fn what_the_seed_writes_is_read_too() {
        let metadata = ProcessMetadata::from_json("u", json("42").as_bytes()).unwrap();
        assert_eq!((metadata.pid, metadata.name.as_str(), metadata.start_time.as_str()), (42, "n", ""));
    }

    #[test]
    fn a_grace_without_a_limit_is_infinite() {
        let with = |grace: f64| json("42").replace("\"new\":1", &format!("\"grace\":{grace}"));
        for (written, read) in [(2.5, 2.5), (Duration::MAX.as_secs_f64(), f64::INFINITY)] {
            let metadata = ProcessMetadata::from_json("u", with(written).as_bytes()).unwrap();
            assert_eq!(metadata.grace, read);
        }
    }

    #[test]
    fn an_array_is_no_metadata_however_many_elements_it_has() {
        let array = br#"[42, "h", "u", 1.5, "0", "r", "n", "s", "1", "b", "keep", null, 1, "i"]"#;
        let error = ProcessMetadata::from_json("u", array).unwrap_err().to_string();
        assert!(error.contains("sequence, expected an object"), "{error}");
    }

    #[test]
    fn the_reason_does_not_change_the_terminal() {
        let text = json("42").replace("\"new\":1", r#""link_loss":"\u001b[2J""#);
        let error = ProcessMetadata::from_json("u", text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("?[2J") && !error.contains('\u{1b}'), "{error}");
    }

    #[test]
    fn a_readiness_that_no_request_can_have_is_refused() {
        for ready in [r#"{"output":""}"#, r#"{"port":0}"#] {
            let json = json("42").replace("\"new\":1", &format!("\"ready\":{ready}"));
            let read = ProcessMetadata::from_json("u", json.as_bytes());
            assert!(matches!(read, Err(Error::BadMetadata { .. })), "{ready}");
        }
    }

    #[test]
    fn what_must_never_be_signalled_is_refused() {
        for pid in ["0", "1", "-1", "4294967296", "1.5", "\"42\"", "null"] {
            let read = ProcessMetadata::from_json("u", json(pid).as_bytes());
            assert!(matches!(read, Err(Error::BadMetadata { .. })), "{pid}");
        }
        for text in ["", "{", "[]", "no JSON", "{\"pid\":42}"] {
            assert!(ProcessMetadata::from_json("u", text.as_bytes()).is_err(), "{text}");
        }
    }
}
