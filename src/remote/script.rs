//! Shell code for remote hosts. A script is sent as a short line and a block: the shell reads the line byte by byte,
//! and the line reads the block by its length. So a script costs no more than its bytes, whatever its values contain.
//! Each value is quoted once.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::local::client::Chunk;
use crate::remote::parameters;
use crate::remote::pieces::{OURS, script_of};
use crate::remote::report::NONCE_LENGTH;

/// Returns what is sent to run the script of this piece, with these values assigned before.
pub(crate) fn short_script(nonce: &[u8; NONCE_LENGTH], values: &[(&str, &[u8])], piece: &'static str) -> Vec<Chunk> {
    let mut script = ScriptBuilder::default();
    script.assign(parameters::NONCE, nonce);
    for (name, value) in values {
        script.assign(name, value);
    }
    script.add(&without_comments(&script_of(piece)));
    script.bundle()
}

/// Removes what only a reader of the source needs: comment lines, empty lines and indentation.
pub(crate) fn without_comments(script: &str) -> Vec<u8> {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
}

/// The variable into which the first shell on a host reads a script. The login environment may export one of this
/// name.
const SCRIPT: &str = "_script";

/// The command for `/bin/sh` on the host. It reads one line, which reads the rest of a script, see
/// [`ScriptBuilder::opened`]. In single quotes it passes every login shell, csh and fish too, because it has no single
/// quote, no `!`, no backslash and no newline. Everything else comes through stdin, so that no value, no script and no
/// nonce stands in a command line. The word behind this command is the name that ps shows on the host.
pub(crate) const BOOTSTRAP: &str = r#"IFS= read -r _script && eval "$_script""#;

/// The end of a block. A block that a broken link has cut lacks it, and so the shell runs no part of that block.
const END: &str = "}";

/// A shell script under construction.
#[derive(Default)]
pub(crate) struct ScriptBuilder(pub Vec<u8>);

impl ScriptBuilder {
    /// Adds code.
    pub(crate) fn add(&mut self, text: &[u8]) {
        self.0.extend_from_slice(text);
    }

    /// Adds a value in single quotes, which keep every byte but themselves, in every shell and locale. Single quotes
    /// of the value stand in double quotes, a whole run of them in one pair: bash's time grows with the square of the
    /// number of quoted pieces in a word.
    pub(crate) fn quote(&mut self, value: &[u8]) {
        self.0.reserve(value.len() + 2);
        self.add(b"'");
        for part in value.chunk_by(|a, b| (*a == b'\'') == (*b == b'\'')) {
            match part {
                [b'\'', ..] => self.0.extend([b"'\"", part, b"\"'"].concat()),
                _ => self.add(part),
            }
        }
        self.add(b"'");
    }

    /// Adds an assignment of this value.
    pub(crate) fn assign(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.add(name.as_bytes());
        self.add(b"=");
        self.quote(value.as_ref());
        self.add(b"\n");
    }

    /// Returns what is sent to run the script.
    pub(crate) fn bundle(mut self) -> Vec<Chunk> {
        self.add(END.as_bytes());
        vec![self.opened(0).into()]
    }

    /// Returns what is sent to run the script and, behind it, a text that many scripts share. [`closed`] has made that
    /// text, and it is not copied.
    pub(crate) fn bundle_with(self, rest: &'static [u8]) -> Vec<Chunk> {
        vec![self.opened(rest.len()).into(), rest.into()]
    }

    /// Returns the line that reads the block, and the block without its last `rest` bytes.
    ///
    /// Descriptor 4 keeps stderr for the reports. The shell's own messages about the block go to /dev/null: a shell
    /// that complains about a block that was cut may quote any part of it.
    ///
    /// ksh93 and mksh read the block themselves. In LC_ALL=C, ksh93 counts bytes, and a program loads no locale. bash
    /// would read each byte by a system call of its own. `KSH_VERSION` may come from the environment: then `read` fails
    /// in a shell that knows no `-N`, and has read nothing. Some hosts have a `head` without `-c`, or none. Some
    /// versions of `head` read more bytes than `-c` asks for, so the manager sends nothing behind the block until the
    /// script reports that it has begun. An old ksh93 puts what a program writes into a temporary file, which has a
    /// name for a moment: the umask keeps other users from opening it.
    fn opened(self, rest: usize) -> Vec<u8> {
        // bash takes options from an exported SHELLOPTS. The option a would export each value, the nonce too.
        let begin = format!("{{ set +a\nunset {SCRIPT} {}\nexec 3<&0 </dev/null\n", *OURS);
        let length = begin.len() + self.0.len() + rest;
        let itself =
            format!("case ${{KSH_VERSION:-}} in ?*) LC_ALL=C IFS= read -rN {length} {SCRIPT};; *) false;; esac");
        let by = |program| format!("{SCRIPT}=$(umask 077; LC_ALL=C exec {program})");
        let (head, dd) = (by(format!("head -c {length}")), by(format!("dd bs=1 count={length}")));
        let reads = format!("exec 4>&2 2>/dev/null; {itself} || {head} || {dd}; eval \"${SCRIPT}\"\n");
        [reads.as_bytes(), begin.as_bytes(), &self.0].concat()
    }

    /// Returns what is sent for the wrapper's inner process to run the script: a line with the length, and the block.
    pub(crate) fn block(self) -> Vec<Chunk> {
        let block = [b"{ ", &self.0[..], END.as_bytes()].concat();
        vec![[format!("go {}\n", block.len()).as_bytes(), &block].concat().into()]
    }
}

/// Returns text as the end of a block.
pub(crate) fn closed(text: &[u8]) -> Vec<u8> {
    [text, END.as_bytes()].concat()
}

/// Returns a path as bytes, a relative one with `./` before it. So no path is taken for an option or for `cd -`, and
/// none is looked up in CDPATH.
pub(crate) fn literal_path(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.starts_with(b"/") { bytes.to_vec() } else { [b"./", bytes].concat() }
}

#[cfg(test)]
pub(crate) mod shells {
    use std::io::Write;
    use std::os::unix::process::CommandExt;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output, Stdio};

    const NAMES: [&str; 7] = ["dash", "bash", "ksh93", "mksh", "yash", "zsh", "busybox"];

    /// A shell that a host's `/bin/sh` can be.
    #[derive(Clone)]
    pub(crate) struct Shell {
        pub name: &'static str,
        path: PathBuf,
    }

    impl Shell {
        pub(crate) fn path(&self) -> &Path {
            &self.path
        }

        /// Returns a command that runs it as `sh`: several shells change their behaviour with their name.
        pub(crate) fn command(&self) -> Command {
            let mut command = Command::new(&self.path);
            command.arg0("sh");
            command
        }
    }

    /// Returns the shells that are installed.
    pub(crate) fn each() -> impl Iterator<Item = Shell> {
        NAMES.into_iter().filter_map(|name| {
            let path = ["/bin", "/usr/bin"].map(|dir| Path::new(dir).join(name)).into_iter().find(|path| path.exists());
            if path.is_none() {
                eprintln!("SKIPPED {name}: it is not installed");
            }
            Some(Shell { name, path: path? })
        })
    }

    /// Runs a command with this input. The command need not read all of it.
    pub(crate) fn run_with(command: &mut Command, input: &[u8]) -> Output {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input).ok());
            child.wait_with_output().unwrap()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use proptest::prelude::*;

    use super::shells::{Shell, each, run_with};
    use super::*;

    #[test]
    fn a_script_keeps_its_lines_and_loses_its_comments() {
        let script = "# Says.\nf() {\n    # It is.\n    if [ x ] &&\n        [ y ]; then\n        a\n    fi\n}\n\n";
        assert_eq!(without_comments(script), b"f() {\nif [ x ] &&\n[ y ]; then\na\nfi\n}\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_back_what_was_quoted(value in prop::collection::vec(1u8..=255, 0..60)) {
            let mut script = ScriptBuilder::default();
            script.add(b"printf %s ");
            script.quote(&value);
            let script = std::ffi::OsStr::from_bytes(&script.0);
            let output = Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(output.stdout, value);
        }
    }

    /// A script that prints this value twice, the second time by its last command.
    fn printing(value: &str) -> ScriptBuilder {
        let mut script = ScriptBuilder::default();
        script.assign(parameters::UUID, value);
        script.add(b"echo \"$_uuid\"\nsecond() {\necho \"$_uuid\"\n}\nsecond\n");
        script
    }

    /// Runs what is sent in a shell, as a host does, with programs from these directories.
    fn run(shell: &Shell, sent: &[u8], path: &str) -> (Vec<u8>, Vec<u8>) {
        let output =
            run_with(shell.command().args(["-c", BOOTSTRAP, "sshpm"]).env("PATH", path).env(SCRIPT, "exported"), sent);
        (output.stdout, output.stderr)
    }

    /// Makes a directory for PATH without `head`, and one whose `head` knows no `-c`. Both have `echo`, because yash
    /// has no `echo` where PATH has none.
    fn without_head_c(scratch: &Path) -> [String; 2] {
        let directories = ["missing", "old"].map(|name| scratch.join(name));
        for directory in &directories {
            fs::create_dir(directory).unwrap();
            for program in ["dd", "echo"] {
                symlink(Path::new("/bin").join(program), directory.join(program)).unwrap();
            }
        }
        let old = directories[1].join("head");
        fs::write(&old, "#!/bin/sh\necho 'illegal option -- c' >&2\nexit 2\n").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o755)).unwrap();
        directories.map(|directory| directory.to_str().unwrap().to_owned())
    }

    #[test]
    fn every_shell_reads_a_script_by_its_length_with_and_without_head_c() {
        let scratch = tempfile::tempdir().unwrap();
        let [missing, old] = without_head_c(scratch.path());
        let value = "it's $x\n\n`}\\\n".repeat(1000);
        let sent = printing(&value).bundle().concat();
        for path in ["/usr/bin:/bin", &missing, &old] {
            for shell in each() {
                let (name, (stdout, stderr)) = (shell.name, run(&shell, &sent, path));
                let expected = format!("{value}\n{value}\n");
                assert!(stdout == expected.as_bytes(), "{name}, PATH={path}: {} bytes", stdout.len());
                assert_eq!(String::from_utf8_lossy(&stderr), "", "{name}, PATH={path}");
            }
        }
    }

    /// Of ksh93's `read`, the locale decides whether it counts bytes or characters.
    #[test]
    fn every_shell_reads_a_script_in_any_locale_and_whatever_shell_the_environment_names() {
        let value = "\u{20ac}\u{e4}'\n".repeat(1000);
        let sent = printing(&value).bundle().concat();
        for (locale, version) in [("C.UTF-8", ""), ("C", "exported"), ("C.UTF-8", "exported")] {
            for shell in each() {
                let mut command = shell.command();
                command.args(["-c", BOOTSTRAP, "sshpm"]).env("LC_ALL", locale);
                if !version.is_empty() {
                    command.env("KSH_VERSION", version);
                }
                let output = run_with(&mut command, &sent);
                // In C, yash has no characters beyond ASCII.
                if (shell.name, locale) != ("yash", "C") {
                    let expected = format!("{value}\n{value}\n");
                    assert!(output.stdout == expected.as_bytes(), "{}, {locale}, {version:?}", shell.name);
                }
            }
        }
    }

    #[test]
    fn a_script_that_was_cut_runs_nothing_in_any_shell() {
        let value = "secret\n}\n'\n}".repeat(20);
        let sent = printing(&value).bundle().concat();
        let begin = sent.iter().position(|&byte| byte == b'\n').unwrap();
        let in_value = sent.windows(6).position(|bytes| bytes == b"secret").unwrap();
        let cuts = [10, begin, begin + 1, begin + 2, begin + 100, in_value, in_value + 8, in_value + 9, in_value + 200];
        let last_lines = sent.len() - 40..sent.len();
        for cut in cuts.into_iter().chain(last_lines) {
            for shell in each() {
                let (stdout, stderr) = run(&shell, &sent[..cut], "/usr/bin:/bin");
                assert_eq!((stdout, stderr), (vec![], vec![]), "{}, cut at {cut} of {}", shell.name, sent.len());
            }
        }
    }

    /// bash takes its options from the variable SHELLOPTS.
    #[test]
    fn a_login_whose_shells_export_everything_exports_no_value() {
        for shell in each() {
            let mut script = ScriptBuilder::default();
            script.assign(parameters::NONCE, "hidden");
            script.add(b"env\n");
            let mut command = shell.command();
            command.args(["-c", BOOTSTRAP, "sshpm"]).env("SHELLOPTS", "allexport");
            let output = run_with(&mut command, &script.bundle().concat());
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains("PATH=") && !said.contains("hidden"), "{}: {said}", shell.name);
        }
    }

    #[test]
    fn a_value_is_quoted_once_and_its_newlines_not_at_all() {
        let quotes = printing(&"'".repeat(500_000)).bundle().concat();
        assert!(quotes.len() < 510_000, "{}", quotes.len());
        let newlines = printing(&"\n".repeat(500_000)).bundle().concat();
        assert!(newlines.len() < 510_000, "{}", newlines.len());
        for shell in each() {
            let (stdout, _) = run(&shell, &quotes, "/usr/bin:/bin");
            assert!(stdout.len() == 1_000_002, "{}: {}", shell.name, stdout.len());
        }
    }
}
