//! Numbers that look random and are the same for the same seed (Marsaglia's xorshift).

/// The state, never 0.
#[derive(Debug, Clone)]
pub struct Dice(u32);

impl Dice {
    /// From a seed, of which 0 is as good as any.
    pub fn new(seed: u32) -> Dice {
        // Small seeds begin with small numbers otherwise.
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9) ^ 0x2545_F491);
        if dice.0 == 0 {
            dice.0 = 1;
        }
        dice.roll();
        dice.roll();
        dice
    }

    /// The next of 1 to 2³² − 1.
    pub fn roll(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// One below `end`; 0 where there is none.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll()).unwrap_or_default() % end.max(1)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of a list, which must not be empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// Octets without any meaning.
    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.roll().to_be_bytes()[3]).collect()
    }

    /// A message with some changes: octets flipped, cut, doubled and put in.
    pub fn spoil(&mut self, message: &[u8]) -> Vec<u8> {
        let mut out = message.to_vec();
        for _ in 0..=self.below(4) {
            let (at, length) = (self.below(out.len() + 1), self.below(40));
            let to = (at + length).min(out.len());
            match self.below(5) {
                0 if at < out.len() => out[at] ^= 1 << self.below(8),
                1 => out.truncate(at),
                2 => drop(out.drain(at..to)),
                3 => {
                    let part = out[at..to].repeat(1 + self.below(9));
                    out.splice(at..at, part);
                }
                _ => {
                    let octets = self.octets(length);
                    out.splice(at..to, octets);
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let row = |seed| {
            let mut dice = Dice::new(seed);
            (0..50).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
        // The one that would be 0.
        assert_ne!(row(0), row(1));
        assert_eq!(Dice::new(1).below(0), 0);
        let mut dice = Dice::new(3);
        let hits = (0..10_000).filter(|_| dice.percent(30)).count();
        assert!((2700..3300).contains(&hits), "{hits}");
    }

    #[test]
    fn spoiling_changes_most() {
        let mut dice = Dice::new(1);
        let text = b"<a>some message that is long enough to be changed</a>".as_slice();
        let changed = (0..200).filter(|_| dice.spoil(text) != text).count();
        assert!(changed > 150, "{changed}");
        assert!(dice.spoil(b"").len() < 1000);
    }
}
