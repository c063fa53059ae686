//! The nonce of a session. It distinguishes the reports of the session from all other data of its streams.

use crate::local::sys;
use crate::model::error::{Error, Result};
use crate::remote::report::{NONCE_BEGIN, NONCE_LENGTH};

/// Returns a new nonce: 186 random bits, six in each character but the first, so that no output contains it by chance.
pub(crate) fn generate() -> Result<[u8; NONCE_LENGTH]> {
    const LETTERS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.";
    let random: [u8; NONCE_LENGTH] = sys::random().map_err(|e| Error::local("making a nonce", e))?;
    let mut nonce = random.map(|byte| LETTERS[usize::from(byte) % LETTERS.len()]);
    nonce[0] = NONCE_BEGIN;
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::report::{Piece, Scanner};

    #[test]
    fn text_is_passed_on_to_its_last_character() {
        let mut scanner = Scanner::new(generate().unwrap());
        for last in (b' '..=b'~').chain(*b"\t\r\n") {
            let mut passed = Vec::new();
            scanner.push(&[b'>', last], &mut |piece| match piece {
                Piece::Data(bytes) => passed.extend_from_slice(bytes),
                _ => unreachable!("no nonce was pushed"),
            });
            assert_eq!(passed, [b'>', last]);
        }
    }
}
