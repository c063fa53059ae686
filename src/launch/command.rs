//! A command of the caller that starts the shell.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::Command;

use crate::launch::target::{Launch, SshLogin, Target, Traits, command_of, shell};
use crate::local::client::StdoutAs;
use crate::model::error::{Error, Result};
use crate::remote::lease::SilentCut;
use crate::remote::script::BOOTSTRAP;

/// The words are the program of the command and its arguments.
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
            runs_as_own_user: false,
        }
    }
}

/// Refuses a target for which a name in the command has no value, or whose user the command does not name.
fn check_places(target: &Target, argv: &[OsString]) -> Result<()> {
    let names = |place: &str| argv.iter().any(|word| contains(word.as_bytes(), place.as_bytes()));
    match target.user {
        None if names("{user}") => {
            Err(Error::invalid("user", "", "must be set, because the launcher's command names {user}"))
        }
        Some(user) if !names("{user}") => {
            Err(Error::invalid("user", user, "must not be set, because the launcher's command does not name {user}"))
        }
        // Hosts and users never begin with '-'.
        _ if target.uuid.is_some_and(|uuid| uuid.starts_with('-')) && names("{uuid}") => Err(Error::invalid(
            "uuid",
            target.uuid.unwrap_or_default(),
            "must not begin with '-', because the launcher's command would take it for an option",
        )),
        _ if target.uuid.is_none() && names("{uuid}") => Err(Error::invalid(
            "launcher",
            target.launcher.name(),
            "must not name {uuid} in its command, because this call concerns no process",
        )),
        _ => Ok(()),
    }
}

/// Returns a word of the command with the values of the target in place of their names. Braces in a value stay.
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
    use crate::launch::route::Route;
    use crate::model::launcher::Launcher;
    use crate::model::options::Options;

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
