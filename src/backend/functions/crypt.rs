//! Passwords as `/etc/shadow` holds them: the SHA-256 scheme of crypt(3), `$5$SALT$…`, which musl and glibc know.

use sha2::{Digest, Sha256};

use crate::sys::rng;

/// What crypt(3) does where no number of rounds is given.
const ROUNDS: usize = 5000;
/// The digits of crypt(3), which are not those of base64.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A password with a fresh salt, in the form of a field of `/etc/shadow`.
///
/// # Errors
/// As [`rng::fill`].
pub fn shadowed(password: &str) -> std::io::Result<String> {
    Ok(with_salt(password.as_bytes(), rng::hex(8)?.as_bytes()))
}

/// `salt` is of at most 16 characters.
fn with_salt(password: &[u8], salt: &[u8]) -> String {
    let hash =
        |parts: &[&[u8]]| parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize();
    let stretched =
        |block: &[u8], length: usize| block.iter().copied().cycle().take(length).collect::<Vec<u8>>();
    let both = hash(&[password, salt, password]);
    let mut first = Sha256::new().chain_update(password).chain_update(salt);
    first.update(stretched(&both, password.len()));
    let mut bits = password.len();
    while bits > 0 {
        if bits & 1 == 1 {
            first.update(both);
        } else {
            first.update(password);
        }
        bits >>= 1;
    }
    let mut state = first.finalize();
    let p = stretched(&hash(&vec![password; password.len()]), password.len());
    let s = stretched(&hash(&vec![salt; 16 + usize::from(state[0])]), salt.len());
    for round in 0..ROUNDS {
        let odd = round % 2 == 1;
        let middle: [&[u8]; 2] =
            [if round % 3 == 0 { &[] } else { &s }, if round % 7 == 0 { &[] } else { &p }];
        let (head, tail): (&[u8], &[u8]) = if odd { (&p, &state) } else { (&state, &p) };
        state = hash(&[head, middle[0], middle[1], tail]);
    }
    let mut out = format!("$5${}$", String::from_utf8_lossy(salt));
    let mut digits = |octets: [u8; 3], count: usize| {
        let word = u32::from_be_bytes([0, octets[0], octets[1], octets[2]]);
        out.extend((0..count).map(|at| char::from(DIGITS[(word >> (6 * at)) as usize & 63])));
    };
    // Three octets at a time, ten apart, each group turned by one.
    let mut at = [0, 10, 20];
    for _ in 0..10 {
        digits(at.map(|at| state[at]), 4);
        at = [at[2] + 1, at[0] + 1, at[1] + 1];
    }
    digits([0, state[31], state[30]], 3);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `openssl passwd -5` makes of the same.
    #[test]
    fn known_answers() {
        for (password, salt, expected) in [
            ("Hello world!", "saltstring", "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
            (
                "a longer password, with more than thirty-two octets \u{e4}",
                "0123456789abcdef",
                "nOZFTB7Qc4mvGyOvYwf723ZtIHpN1LuSOf.7JXfaM10",
            ),
            ("p", "x", "h.brg.xG5lrk70bjc5DkPQTNkEr1uQgbhuZFQNDrvk9"),
        ] {
            assert_eq!(with_salt(password.as_bytes(), salt.as_bytes()), format!("$5${salt}${expected}"));
        }
    }

    #[test]
    fn salts_differ() {
        let (one, two) = (shadowed("secret").unwrap_or_default(), shadowed("secret").unwrap_or_default());
        assert!(one.starts_with("$5$") && one.len() == 3 + 16 + 1 + 43 && one != two);
    }
}
