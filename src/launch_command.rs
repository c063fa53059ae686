//! A command of the caller that starts the shell.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::Command;

use crate::client::StdoutAs;
use crate::error::{Error, Result};
use crate::lease::SilentCut;
use crate::script::BOOTSTRAP;
use crate::target::{Launch, SshLogin, Target, Traits, command_of, shell};

/// The program and the arguments of the command.
impl Launch for Vec<OsString> {
    fn check(&self, target: &Target) -> Result<()> {
        check_places(target, self)
    }

    fn command(&self, target: &Target, _: &SshLogin) -> Result<Command> {
        Ok(command_of(self.iter().map(|word| fill_in(target, word)).chain(shell(BOOTSTRAP))))
    }

    fn diagnose(&self, target: &Target, code: Option<i32>, stderr: &[u8]) -> Error {
        target.diagnose_code(code, stderr, |_| None)
    }

    fn traits(&self) -> Traits {
        Traits {
            shares_connections: false,
            // The command can be a script, and nothing else would end the program that it waits for.
            kills_group_with_client: true,
            silent_cut: SilentCut::Input,
            stdout: StdoutAs::Pipe,
        }
    }
}

fn check_places(target: &Target, argv: &[OsString]) -> Result<()> {
    let names = |place: &str| argv.iter().any(|word| contains(word.as_bytes(), place.as_bytes()));
    match target.user {
        None if names("{user}") => {
            Err(Error::invalid("user", "", "the launcher's command names {user}, and there is none"))
        }
        Some(user) if !names("{user}") => {
            Err(Error::invalid("user", user, "the launcher's command does not name {user}: it would not be heeded"))
        }
        // Hosts and users never begin so.
        _ if target.uuid.is_some_and(|uuid| uuid.starts_with('-')) && names("{uuid}") => Err(Error::invalid(
            "uuid",
            target.uuid.unwrap_or_default(),
            "it would be an option of the launcher's command",
        )),
        _ if target.uuid.is_none() && names("{uuid}") => Err(Error::invalid(
            "launcher",
            target.launcher.name(),
            "its command names {uuid}, and this call is about no process",
        )),
        _ => Ok(()),
    }
}

/// Puts the target's values in the place of their names in a word of the command.
fn fill_in(target: &Target, word: &OsStr) -> OsString {
    let places = [("{host}", Some(target.host)), ("{user}", target.user), ("{uuid}", target.uuid)];
    let mut rest = word.as_bytes();
    let mut filled = Vec::new();
    while let Some(&first) = rest.first() {
        let place = places.iter().find_map(|(place, value)| Some((rest.strip_prefix(place.as_bytes())?, (*value)?)));
        match place {
            Some((behind, value)) => {
                filled.extend_from_slice(value.as_bytes());
                rest = behind;
            }
            None => {
                filled.push(first);
                rest = &rest[1..];
            }
        }
    }
    OsString::from_vec(filled)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::Launcher;
    use crate::options::Options;
    use crate::route::Route;

    fn words(launcher: &Launcher, host: &str, user: Option<&str>) -> Vec<String> {
        let Launcher::Command(argv) = launcher else { panic!("{launcher:?}") };
        let target = Target { launcher, host, user, uuid: Some("u-1") };
        let (options, route) = (&Options::new(), &Route::Own);
        let login = SshLogin { options, version: None, route };
        let command = argv.command(&target, &login).unwrap();
        let all = std::iter::once(command.get_program()).chain(command.get_args());
        all.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn places_are_filled_in_once_and_other_braces_stay() {
        let launcher = Launcher::command(["x", "{host}:{user}", "{uuid}", "{hots}", "{", "a{host"]);
        let words = words(&launcher, "{user}", Some("me"));
        assert_eq!(words[..6], ["x", "{user}:me", "u-1", "{hots}", "{", "a{host"]);
        assert_eq!(words[6..], ["/bin/sh", "-c", BOOTSTRAP, "sshpm"]);
    }
}
