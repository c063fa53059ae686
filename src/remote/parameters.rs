//! The parameters of the scripts: the variables that are assigned before a script runs. `names.txt` describes them.

pub(crate) const ASKED_BOOT: &str = "_asked_boot";
pub(crate) const ASKED_PID: &str = "_asked_pid";
pub(crate) const ASKED_START: &str = "_asked_start";
pub(crate) const ASKED_WRAPPER: &str = "_asked_wrapper";
pub(crate) const BY_LAUNCHER: &str = "_by_launcher";
pub(crate) const BYTE_COUNT: &str = "_byte_count";
pub(crate) const GRACE: &str = "_grace";
pub(crate) const INSTANCE: &str = "_instance";
pub(crate) const IS_KEPT: &str = "_is_kept";
pub(crate) const KILL_TREE: &str = "_kill_tree";
pub(crate) const LEASE_PERIOD: &str = "_lease_period";
pub(crate) const LEASE_TICKS: &str = "_lease_ticks";
pub(crate) const LINE_COUNT: &str = "_line_count";
pub(crate) const LOG_FILE: &str = "_log_file";
pub(crate) const LOG_MODE: &str = "_log_mode";
pub(crate) const MANAGER: &str = "_manager";
pub(crate) const MAY_BE_SLOW: &str = "_may_be_slow";
pub(crate) const METADATA_REST: &str = "_metadata_rest";
pub(crate) const NONCE: &str = "_nonce";
pub(crate) const SETUP_SHELL: &str = "_setup_shell";
pub(crate) const STDERR_POSITION: &str = "_stderr_position";
pub(crate) const STDOUT_POSITION: &str = "_stdout_position";
pub(crate) const UMASK: &str = "_umask";
pub(crate) const UUID: &str = "_uuid";
pub(crate) const WAIT_TENTHS: &str = "_wait_tenths";
pub(crate) const WANTS_BASH: &str = "_wants_bash";
