//! Shell code for remote hosts: every value is quoted here, byte by byte, and all goes in one line.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::LazyLock;

use crate::client::Chunk;
use crate::report::NONCE_LENGTH;

/// How every short script begins, see there.
pub(crate) const SHORT: &str = include_str!("short.sh");
static SHORT_TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| without_comments(SHORT));

/// The line that runs a short script behind these assignments.
pub(crate) fn short_line(nonce: &[u8; NONCE_LENGTH], values: &[(&str, &[u8])], texts: &[&str]) -> Vec<Chunk> {
    let mut script = Script::default();
    script.assign("_N", nonce);
    for (name, value) in values {
        script.assign(name, value);
    }
    script.add(&SHORT_TEXT);
    for text in texts {
        script.add(&without_comments(text));
    }
    bootstrap_line(&script)
}

/// Comments and indentation need not cross the network: the remote shell reads its input byte by byte. Nor need a newline where a
/// blank does: quoted, it takes seven bytes.
pub(crate) fn without_comments(script: &str) -> Vec<u8> {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(|line| [line, if needs_more(line) { " " } else { "\n" }]).collect::<String>().into_bytes()
}

/// Whether a command, or a list of them, has to follow these. No quoted text of the scripts has lines that end so.
fn needs_more(line: &str) -> bool {
    line == "else" || [" then", " do", " {", ";;", "&&", "||"].iter().any(|end| line.ends_with(end))
}

/// The variables of our scripts. One that the login environment exports would be exported with our value: the nonce, for
/// one. So they are unset first.
const OURS: &str = "l _B _C _F _G _H _I _K _L _M _N _O _P _R _S _T _U _V _W _X _Y _a _again _b _bye _c _cs _cut _d _e _eo _f _fail _g _h _how _i _j \
                    _k _l _left _lk _lost _ls _m _n _o _ok _oo _os _ow _own _p _q _r _ran _rs _s _s1 _s2 _t _t1 _t2 _u _v _w _x _y _z _z2 _z3";

/// The line that runs a script: the shell's `read` takes one line, so a newline in the script becomes a variable.
pub(crate) fn bootstrap_line(script: &Script) -> Vec<Chunk> {
    let mut line = bootstrap(script);
    line.push(b'\n');
    vec![line.into()]
}

/// The same for a script that ends with one that is the same for all, and was made fit by [`end_of_line`].
pub(crate) fn bootstrap_line_with(script: &Script, end: &'static [u8]) -> Vec<Chunk> {
    vec![bootstrap(script).into(), end.into()]
}

fn bootstrap(script: &Script) -> Vec<u8> {
    // The third character of IFS, which every shell sets when it begins; a command substitution would cost a fork.
    in_one_line(&format!("unset {OURS}; _n=${{IFS#??}}; _n=${{_n%\"${{_n#?}}\"}}; eval "), &script.0, "_n")
}

/// The end of such a line: quoted pieces that stand next to each other are one word.
pub(crate) fn end_of_line(script: &[u8]) -> Vec<u8> {
    let mut end = in_one_line("", script, "_n");
    end.push(b'\n');
    end
}

/// A shell script under construction.
#[derive(Default)]
pub(crate) struct Script(pub Vec<u8>);

impl Script {
    pub(crate) fn add(&mut self, text: &[u8]) {
        self.0.extend_from_slice(text);
    }

    pub(crate) fn quote(&mut self, value: &[u8]) {
        quote_into(&mut self.0, value, None);
    }

    pub(crate) fn assign(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.add(name.as_bytes());
        self.add(b"=");
        self.quote(value.as_ref());
        self.add(b"\n");
    }
}

/// A relative path gets `./`, so that none is an option, `cd -` or looked up in CDPATH.
pub(crate) fn literal_path(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.starts_with(b"/") { bytes.to_vec() } else { [b"./", bytes].concat() }
}

/// `prefix` and the quoted script, in one line: newlines become the value of a shell variable.
pub(crate) fn in_one_line(prefix: &str, script: &[u8], newline: &str) -> Vec<u8> {
    let mut line = prefix.as_bytes().to_vec();
    quote_into(&mut line, script, Some(newline));
    line
}

/// Single quotes keep every byte but themselves, in every shell that reads POSIX shell code.
fn quote_into(out: &mut Vec<u8>, value: &[u8], newline: Option<&str>) {
    out.reserve(value.len() + 2);
    out.push(b'\'');
    for &byte in value {
        match (byte, newline) {
            (b'\'', _) => out.extend_from_slice(br"'\''"),
            (b'\n', Some(variable)) => {
                out.extend_from_slice(b"'\"$");
                out.extend_from_slice(variable.as_bytes());
                out.extend_from_slice(b"\"'");
            }
            _ => out.push(byte),
        }
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn a_script_is_as_short_as_it_can_be() {
        let script = "# Says.\nf() {\n    # It is.\n    if [ x ] &&\n        [ y ]; then\n        a\n    else\n        b\n    fi\n}\n";
        assert_eq!(without_comments(script), b"f() { if [ x ] && [ y ]; then a\nelse b\nfi\n}\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_back_what_was_quoted(value in prop::collection::vec(1u8..=255, 0..60)) {
            let mut script = b"n='\n'; printf %s ".to_vec();
            quote_into(&mut script, &value, Some("n"));
            let script = std::ffi::OsStr::from_bytes(&script);
            let output = Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(output.stdout, value);
        }
    }
}
