//! Any octets as a DHCP option: an offer keeps its bounds, however it was written and by whichever way it came.

use rcwmp::agent::discovery::{Offer, Source, merged};

/// One input.
pub fn run(octets: &[u8]) {
    let mut offers = Vec::new();
    for source in Source::ALL {
        let read = source.read(octets);
        let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        let pairs: Vec<String> = octets.iter().map(|octet| format!("{octet:02X}")).collect();
        assert_eq!(source.read_hex(&digits), read);
        assert_eq!(source.read_hex(&pairs.join(":")), read);
        match read {
            Ok(offer) => {
                check(&offer);
                offers.push((source, offer));
            }
            Err(why) => assert!(why.to_string().len() < 1024),
        }
        if let Ok(text) = std::str::from_utf8(octets)
            && let Ok(offer) = source.read_hex(text)
        {
            check(&offer);
        }
    }
    let urls: Vec<_> = offers.iter().filter_map(|(_, offer)| offer.url.clone()).collect();
    assert_eq!(merged(offers).url, urls.into_iter().next());
}

fn check(offer: &Offer) {
    let Offer { url, provisioning_code, retry_minimum, retry_multiplier } = offer;
    if let Some(url) = url {
        assert!(url.len() <= 256 && url.bytes().all(|octet| octet.is_ascii_graphic()), "{url:?}");
        let lower = url.to_ascii_lowercase();
        assert!(lower.starts_with("http://") || lower.starts_with("https://"), "{url:?}");
    }
    if let Some(code) = provisioning_code {
        assert!(code.len() <= 64 && !code.chars().any(char::is_control), "{code:?}");
    }
    assert!(retry_minimum.is_none_or(|seconds| (1..=65535).contains(&seconds)));
    assert!(retry_multiplier.is_none_or(|thousandths| (1000..=65535).contains(&thousandths)));
}
