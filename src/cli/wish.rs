//! `rcwmpd request-download` and `rcwmpd kicked`: what the router's user wants told to the ACS.

use std::process::ExitCode;

use crate::agent::options::Options;
use crate::agent::requests::{self, Wish};

/// The wish of `request-download TYPE [NAME=VALUE]…`.
///
/// # Errors
/// What is missing or is not of the form.
pub fn request_download(words: &[String]) -> Result<Wish, String> {
    let [file_type, arguments @ ..] = words else {
        return Err("request-download needs a file type, such as \"1 Firmware Upgrade Image\"".to_owned());
    };
    let pair = |word: &String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{word:?} is not NAME=VALUE")),
    };
    let arguments = arguments.iter().map(pair).collect::<Result<_, _>>()?;
    Ok(Wish::RequestDownload { file_type: file_type.clone(), arguments })
}

/// The wish of `kicked COMMAND [REFERER [ARG [NEXT]]]`.
///
/// # Errors
/// Too few or too many words.
pub fn kicked(words: &[String]) -> Result<Wish, String> {
    if words.is_empty() || words.len() > 4 {
        return Err("kicked needs COMMAND [REFERER [ARG [NEXT]]]".to_owned());
    }
    let word = |at: usize| words.get(at).cloned().unwrap_or_default();
    Ok(Wish::Kicked { command: word(0), referer: word(1), arg: word(2), next: word(3) })
}

/// Leaves a wish for the daemon, which tells it if the ACS has the method.
pub fn leave(options: &Options, wish: &Wish) -> ExitCode {
    match requests::leave(&options.root, wish) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("rcwmpd: {why}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split('|').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn lines() {
        let wish = request_download(&words("1 Firmware Upgrade Image|Version=2=3|Empty=")).unwrap();
        let arguments = vec![("Version".to_owned(), "2=3".to_owned()), ("Empty".to_owned(), String::new())];
        assert_eq!(wish, Wish::RequestDownload { file_type: "1 Firmware Upgrade Image".into(), arguments });
        assert!(request_download(&[]).is_err() && request_download(&words("1|=x")).is_err());
        let wish = kicked(&words("reload||")).unwrap();
        assert!(matches!(wish, Wish::Kicked { command, next, .. } if command == "reload" && next.is_empty()));
        assert!(kicked(&[]).is_err() && kicked(&words("a|b|c|d|e")).is_err());
    }
}
