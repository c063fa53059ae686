//! The committed include/sshpm.h is the one that cbindgen generates from src/capi.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The files of src/capi, in the order in which the header has their items.
const SOURCES: [&str; 26] = [
    "codes",
    "result",
    "input",
    "log",
    "strings",
    "buffer",
    "role",
    "launcher",
    "options",
    "request",
    "request_setters",
    "status",
    "kill_results",
    "manager",
    "manager_query",
    "manager_kill",
    "session",
    "session_results",
    "event",
    "subscription",
    "output",
    "metadata",
    "discovery",
    "clean_up",
    "log_file",
    "host",
];

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn version_macros() -> String {
    format!(
        "\n/** The version of this header. sshpm_version() returns the version of the library. */\n\
         #define SSHPM_VERSION \"{}\"\n\
         /** The first number of the version. */\n\
         #define SSHPM_VERSION_MAJOR {}\n\
         /** The second number of the version. */\n\
         #define SSHPM_VERSION_MINOR {}\n\
         /** The third number of the version. */\n\
         #define SSHPM_VERSION_PATCH {}\n\n\
         /** As the value of a resource limit: no limit. */\n\
         #define SSHPM_UNLIMITED UINT64_MAX\n",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
    )
}

fn generated() -> String {
    let mut config = cbindgen::Config::from_file(at("cbindgen.toml")).unwrap();
    config.after_includes = Some(version_macros());
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(at(&format!("src/capi/{source}.rs")));
    }
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    String::from_utf8(header).unwrap()
}

#[test]
fn the_committed_header_is_up_to_date() {
    let (file, header) = (at("include/sshpm.h"), generated());
    if env::var_os("SSHPM_UPDATE_HEADER").is_some() {
        fs::write(&file, &header).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == header,
        "include/sshpm.h differs from what src/capi generates; \
         update it: SSHPM_UPDATE_HEADER=1 cargo test --test c_api header"
    );
}
