//! Any octets as a UCI file, as saved changes and as a bundle: an unchanged file stays as it is, octet for octet, and a
//! changed one is read as the sections it was changed to.

use rcwmp::uci::bundle;
use rcwmp::uci::delta;
use rcwmp::uci::text::{Document, Value};

/// One input: a file, and after `\0` what is done with it.
pub fn run(octets: &[u8]) {
    let end = octets.iter().position(|octet| *octet == 0).unwrap_or(octets.len());
    let (file, changes) = (&octets[..end], octets.get(end + 1..).unwrap_or_default());
    bundles(file);
    saved(file);
    let document = match Document::parse("f", file) {
        Ok(document) => document,
        Err(why) => {
            assert!(why.line >= 1 && why.column >= 1 && why.explain().len() < 4096);
            return;
        }
    };
    assert_eq!(document.to_bytes(), file);
    change(document.clone(), changes);
    let mut document = document;
    let (list, _) = delta::parse("f", changes);
    delta::apply(&mut document, &list);
    same(&document);
}

/// What is written is read as what is in memory.
fn same(document: &Document) {
    let written = document.to_bytes();
    let again = match Document::parse("f", &written) {
        Ok(again) => again,
        Err(why) => panic!("{}", why.explain()),
    };
    assert_eq!(again.to_bytes(), written);
    let view = |document: &Document| -> Vec<_> {
        let section = |section: &rcwmp::uci::text::Section| {
            let options: Vec<_> =
                section.options().map(|(name, value)| (name.to_owned(), value.clone())).collect();
            (section.name().map(str::to_owned), section.ty().to_owned(), section.index_in_type(), options)
        };
        document.sections().map(section).collect()
    };
    assert_eq!(view(&again), view(document), "{}", String::from_utf8_lossy(&written));
}

/// Lines of an operation and its words, with any text in them.
fn change(mut document: Document, changes: &[u8]) {
    let text = String::from_utf8_lossy(changes);
    for line in text.split('\n').take(8) {
        let words: Vec<&str> = line.split('\t').collect();
        let keys: Vec<String> = document.sections().map(|section| section.key().to_owned()).collect();
        // A digit stands for one of the sections that there are.
        let key = |word: &str| match word.parse::<usize>() {
            Ok(at) if !keys.is_empty() => keys[at % keys.len()].clone(),
            _ => word.to_owned(),
        };
        let done = match words[..] {
            ["set", section, option, value] => {
                let section = key(section);
                let value = Value::from(value);
                let done = document.set(&section, option, &value);
                if done.is_ok() && !value.is_empty() {
                    assert_eq!(document.option(&section, option), Some(&value), "{line:?}");
                }
                done.map(drop)
            }
            ["list", section, option, ref items @ ..] => {
                let list = Value::List(items.iter().map(|item| (*item).to_owned()).collect());
                document.set(&key(section), option, &list).map(drop)
            }
            ["drop", section, option] => document.delete_option(&key(section), option).map(drop),
            ["add", ty] => document.add_section(ty, None).map(drop),
            ["add", ty, name] => document.add_section(ty, Some(name)).map(drop),
            ["delete", section] => document.delete_section(&key(section)),
            ["rename", section, name] => document.rename_section(&key(section), name),
            ["rename", section, option, name] => document.rename_option(&key(section), option, name),
            ["type", section, ty] => document.set_type(&key(section), ty),
            ["nameless", section] => document.make_anonymous(&key(section)),
            ["order", section, at] => document.reorder(&key(section), at.len()),
            _ => continue,
        };
        if let Err(why) = done {
            assert!(why.to_string().len() < 1024 + 4 * line.len());
        }
        same(&document);
    }
}

fn saved(octets: &[u8]) {
    let (list, skipped) = delta::parse("f", octets);
    assert!(skipped.iter().all(|skipped| skipped.line >= 1 && skipped.to_string().len() < 1024));
    let lines: String = list.iter().map(|saved| saved.change.to_line("f")).collect();
    let (again, skipped) = delta::parse("f", lines.as_bytes());
    assert!(skipped.is_empty(), "{skipped:?} of {lines:?}");
    let changes = |list: &[delta::Saved]| list.iter().map(|saved| saved.change.clone()).collect::<Vec<_>>();
    assert_eq!(changes(&again), changes(&list), "{lines:?}");
}

fn bundles(octets: &[u8]) {
    for name in [None, Some("f")] {
        let packages = match bundle::split(octets, name) {
            Ok(packages) => packages,
            Err(why) => {
                assert!(why.to_string().len() < 1024 + 4 * octets.len());
                continue;
            }
        };
        assert!(packages.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let joined = bundle::join(packages.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
        let again = match bundle::split(&joined, None) {
            Ok(again) => again,
            Err(why) => panic!("{why}: {:?}", String::from_utf8_lossy(&joined)),
        };
        assert_eq!(again.len(), packages.len());
        for ((name, bytes), (known, read)) in packages.iter().zip(&again) {
            assert_eq!(name, known);
            let [one, two] =
                [bytes, read].map(|bytes| Document::parse("f", bytes).expect("it was read before"));
            let sections = |document: &Document| document.sections().cloned().collect::<Vec<_>>();
            assert_eq!(sections(&one), sections(&two), "{:?}", String::from_utf8_lossy(&joined));
        }
    }
}
