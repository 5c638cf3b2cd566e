//! Randomness from the kernel.

use std::io;

/// Fills `bytes` from the kernel's generator.
///
/// # Errors
/// When the kernel has no randomness to give, which on Linux means a broken system.
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(|why| io::Error::other(why.to_string()))
}

/// A random number.
///
/// # Errors
/// As [`fill`].
pub fn number() -> io::Result<u32> {
    let mut bytes = [0; 4];
    fill(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

/// `count` random bytes as lower-case hexadecimal.
///
/// # Errors
/// As [`fill`].
pub fn hex(count: usize) -> io::Result<String> {
    let mut bytes = vec![0; count];
    fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
