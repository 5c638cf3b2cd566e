//! Changes to a UCI file that leave every other line as it is.
//!
//! An option that is set again keeps its place, its quotes and the comment after it; a new one goes
//! below the last of its section in that one's style. A name that libuci would refuse is refused,
//! and values are quoted so that none can end its statement or begin another.

use std::fmt;

use super::scan::{MAX_VALUE, Verb, is_name, is_text, is_type};
use super::text::{
    Block, Chunk, Document, MAX_FILE, MAX_OPTIONS, MAX_SECTIONS, Section, Stated, Value, generated_name,
    merge,
};
use super::write::{Line, Style};

/// Why a change was refused. The document is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditError {
    /// No such section.
    NoSection(String),
    /// No such option: section, option.
    NoOption(String, String),
    /// There is one of that name already.
    Exists(String),
    /// Not a name that UCI allows for a section or an option.
    BadName(String),
    /// Not a type that UCI allows for a section.
    BadType(String),
    /// A value that UCI does not allow, and why not.
    BadValue {
        /// The option.
        option: String,
        /// What is wrong with the value, without the value.
        why: String,
    },
    /// A limit of [`super::text`] was reached.
    Full(String),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditError::NoSection(section) => write!(f, "no section {section:?}"),
            EditError::NoOption(section, option) => write!(f, "no option {option:?} in section {section:?}"),
            EditError::Exists(name) => write!(f, "{name:?} exists already"),
            EditError::BadName(name) => write!(f, "{name:?} is not a name: letters, digits and _ only"),
            EditError::BadType(ty) => write!(f, "{ty:?} is not a section type: printable characters only"),
            EditError::BadValue { option, why } => write!(f, "the value of {option} {why}"),
            EditError::Full(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for EditError {}

impl Document {
    /// Sets an option; true if that changed anything. `section` is anything [`Document::find`] takes.
    ///
    /// An empty value (an empty text, a list without elements) deletes the option: UCI has no other
    /// way to say it, and `uci set` does the same.
    pub fn set(&mut self, section: &str, option: &str, value: &Value) -> Result<bool, EditError> {
        let at = self.section_at(section)?;
        if !is_name(option.as_bytes()) {
            return Err(EditError::BadName(option.into()));
        }
        check_value(option, value)?;
        let current = self.sections[at].option(option);
        if current == Some(value) {
            return Ok(false);
        }
        if value.is_empty() {
            return self.delete_option(section, option);
        }
        if current.is_none() && self.sections[at].options.len() >= MAX_OPTIONS {
            return Err(EditError::Full(format!("section {section:?} has {MAX_OPTIONS} options already")));
        }
        self.room(value)?;
        let current = current.cloned();
        self.part_lines();
        let id = self.sections[at].id;
        let places = self.places(id, option);
        let only_lists = places.iter().all(|place| self.stated(*place).verb == Verb::List);
        match (current, value) {
            (_, value) if places.is_empty() => self.append(id, option, value),
            (Some(Value::Single(_)), Value::Single(text)) => {
                // The last that is not empty is the one that counts.
                let effective = places.iter().rev().find(|place| !self.stated(**place).value.is_empty());
                if let Some(place) = effective {
                    self.chunk(*place).set_value(text);
                }
            }
            (Some(Value::List(old)), Value::List(new)) if only_lists => {
                self.change_list(option, &places, &old, new);
            }
            (_, value) => {
                // From a list to a single value or back: the first line takes the place.
                let mut lines = lines(option, value);
                let first = places[0];
                self.delete_places(places[1..].to_vec());
                let style = Style::of(self.chunk(first));
                self.chunk(first).replace(lines.remove(0), &style);
                self.insert_after(first, lines, &style);
            }
        }
        self.reread(id);
        debug_assert_eq!(
            self.sections.iter().find(|s| s.id == id).and_then(|s| s.option(option)),
            Some(value)
        );
        Ok(true)
    }

    /// Deletes an option with all its lines; true if there was one.
    pub fn delete_option(&mut self, section: &str, option: &str) -> Result<bool, EditError> {
        let at = self.section_at(section)?;
        if self.sections[at].option(option).is_none() {
            return Ok(false);
        }
        self.part_lines();
        let id = self.sections[at].id;
        self.delete_places(self.places(id, option));
        self.reread(id);
        Ok(true)
    }

    /// Adds a section at the end and gives its key: `name`, or without one a generated name, the
    /// section staying anonymous in the file.
    pub fn add_section(&mut self, ty: &str, name: Option<&str>) -> Result<String, EditError> {
        let key = match name {
            Some(name) if !is_name(name.as_bytes()) => return Err(EditError::BadName(name.into())),
            Some(name) => name.to_string(),
            None => {
                let taken = |key: &String| self.sections.iter().any(|section| section.key == *key);
                let mut keys = (self.made + 1..).map(|nth| generated_name(nth, ty));
                keys.find(|key| !taken(key)).unwrap_or_default()
            }
        };
        self.add_section_as(ty, &key, name.is_none())?;
        Ok(key)
    }

    /// Adds a section under a key chosen by the caller; `anonymous` keeps the key out of the file.
    pub fn add_section_as(&mut self, ty: &str, key: &str, anonymous: bool) -> Result<(), EditError> {
        if !is_type(ty.as_bytes()) {
            return Err(EditError::BadType(ty.into()));
        }
        if !is_name(key.as_bytes()) {
            return Err(EditError::BadName(key.into()));
        }
        if self.sections.iter().any(|section| section.key == key) {
            return Err(EditError::Exists(key.into()));
        }
        if self.sections.len() >= MAX_SECTIONS {
            return Err(EditError::Full(format!("{} has {MAX_SECTIONS} sections already", self.file)));
        }
        self.room(&Value::Single(key.into()))?;
        self.part_lines();
        let style = self.blocks.last().map_or_else(Style::default, |block| Style::of(&block.chunks[0]));
        if let Some(last) = self.chunks_mut().last() {
            last.close_line(style.eol);
            if !last.is_blank() {
                let raw = style.eol.as_bytes().to_vec();
                self.push_chunk(Chunk { raw, stated: None });
            }
        }
        self.made += 1;
        let id = u32::try_from(self.made).unwrap_or(u32::MAX);
        let name = if anonymous { "" } else { key };
        let header = Line { verb: Verb::Config, name: ty, value: name }.written(&style);
        self.blocks.push(Block { section: id, chunks: vec![header] });
        self.sections.push(Section {
            id,
            key: key.into(),
            ty: ty.into(),
            anonymous,
            index_in_type: 0,
            options: Vec::new(),
        });
        self.number();
        Ok(())
    }

    /// Deletes a section: its lines and the comments between them. Comments below its last
    /// statement stay, since they mostly belong to what follows.
    pub fn delete_section(&mut self, section: &str) -> Result<(), EditError> {
        let at = self.section_at(section)?;
        self.part_lines();
        let id = self.sections.remove(at).id;
        while let Some(nth) = self.blocks.iter().position(|block| block.section == id) {
            let was_last = nth + 1 == self.blocks.len();
            let mut chunks = self.blocks.remove(nth).chunks;
            let end = chunks.iter().rposition(|chunk| chunk.stated.is_some()).map_or(0, |last| last + 1);
            let mut rest = chunks.split_off(end);
            let blank = rest.iter().take_while(|chunk| chunk.is_blank()).count();
            let before = match nth.checked_sub(1) {
                Some(before) => &mut self.blocks[before].chunks,
                None => &mut self.head,
            };
            if blank > 0 {
                rest.drain(..blank);
            } else if was_last && rest.is_empty() && before.last().is_some_and(Chunk::is_blank) {
                before.pop();
            }
            before.append(&mut rest);
        }
        self.number();
        Ok(())
    }

    /// Gives a section a name; an anonymous one gets its first.
    pub fn rename_section(&mut self, section: &str, name: &str) -> Result<(), EditError> {
        let at = self.section_at(section)?;
        if !is_name(name.as_bytes()) {
            return Err(EditError::BadName(name.into()));
        }
        if self.sections.iter().any(|known| known.key == name && known.id != self.sections[at].id) {
            return Err(EditError::Exists(name.into()));
        }
        self.rewrite_headers(at, |header| (header.name.clone(), name.to_string()));
        self.sections[at].key = name.into();
        self.sections[at].anonymous = false;
        Ok(())
    }

    /// Changes the type of a section.
    pub fn set_type(&mut self, section: &str, ty: &str) -> Result<(), EditError> {
        let at = self.section_at(section)?;
        if !is_type(ty.as_bytes()) {
            return Err(EditError::BadType(ty.into()));
        }
        if self.sections[at].ty == ty {
            return Ok(());
        }
        self.rewrite_headers(at, |header| (ty.to_string(), header.value.clone()));
        self.sections[at].ty = ty.into();
        self.number();
        Ok(())
    }

    /// Takes the name of a section out of the file; its key stays until the file is read again.
    pub fn make_anonymous(&mut self, section: &str) -> Result<(), EditError> {
        let at = self.section_at(section)?;
        let id = self.sections[at].id;
        if self.blocks.iter().filter(|block| block.section == id).count() > 1 {
            // Without the name its parts would become several sections.
            return Err(EditError::Exists(section.into()));
        }
        self.rewrite_headers(at, |header| (header.name.clone(), String::new()));
        self.sections[at].anonymous = true;
        Ok(())
    }

    /// Renames an option, its value and place kept.
    pub fn rename_option(&mut self, section: &str, option: &str, name: &str) -> Result<(), EditError> {
        let at = self.section_at(section)?;
        if !is_name(name.as_bytes()) {
            return Err(EditError::BadName(name.into()));
        }
        if self.sections[at].option(option).is_none() {
            return Err(EditError::NoOption(section.into(), option.into()));
        }
        if self.sections[at].option(name).is_some() {
            return Err(EditError::Exists(name.into()));
        }
        self.part_lines();
        let id = self.sections[at].id;
        for place in self.places(id, option) {
            self.chunk(place).set_name(name);
        }
        self.reread(id);
        Ok(())
    }

    /// Sees to it that the last line has an end, so that others can be written behind it. Where an end alone would
    /// make it another statement, or none (a `;` may be the last octet of a file but not of a line), it is written anew.
    pub fn end_line(&mut self) {
        self.part_lines();
        let eol = self.blocks.first().map_or("\n", |block| Style::of(&block.chunks[0]).eol);
        if let Some(last) = self.chunks_mut().last() {
            last.close_line(eol);
        }
    }

    /// Moves a section so that `position` sections come before it, or to the end.
    pub fn reorder(&mut self, section: &str, position: usize) -> Result<(), EditError> {
        let at = self.section_at(section)?;
        self.end_line();
        let moved = self.sections.remove(at);
        let position = position.min(self.sections.len());
        let follower = self.sections.get(position).map(|section| section.id);
        let (own, mut others): (Vec<_>, Vec<_>) =
            self.blocks.drain(..).partition(|block| block.section == moved.id);
        let target = follower.and_then(|id| others.iter().position(|block| block.section == id));
        let target = target.unwrap_or(others.len());
        others.splice(target..target, own);
        self.blocks = others;
        self.sections.insert(position, moved);
        self.number();
        Ok(())
    }

    /// Moves a section before another one, or to the end; to the end too when the other one is not there.
    pub fn move_section(&mut self, section: &str, follower: Option<&str>) -> Result<(), EditError> {
        let own = self.section_at(section)?;
        let target = follower.and_then(|follower| self.position(follower)).unwrap_or(self.sections.len());
        let open = |block: &Block| !block.chunks.last().is_some_and(Chunk::is_blank);
        let parted = self.blocks.iter().rev().skip(1).any(|block| !open(block));
        let ended = self.blocks.last().is_some_and(open);
        // The place is counted without the section itself.
        self.reorder(section, if target > own { target - 1 } else { target })?;
        if parted {
            // The empty line between two sections belongs to the first of them, which the last one of the file lacks.
            let eol = self.blocks.first().map_or("\n", |block| Style::of(&block.chunks[0]).eol);
            let blank = || Chunk { raw: eol.as_bytes().to_vec(), stated: None };
            let last = self.blocks.len().saturating_sub(1);
            for block in self.blocks.iter_mut().take(last).filter(|block| open(block)) {
                block.chunks.push(blank());
            }
            if let (true, Some(block)) = (ended, self.blocks.last_mut()) {
                while block.chunks.last().is_some_and(Chunk::is_blank) {
                    block.chunks.pop();
                }
            }
        }
        Ok(())
    }

    fn section_at(&self, section: &str) -> Result<usize, EditError> {
        self.position(section).ok_or_else(|| EditError::NoSection(section.into()))
    }

    /// Refuses what would make the file too long to be read again.
    fn room(&self, value: &Value) -> Result<(), EditError> {
        const LINE: usize = 256;
        let old: usize = self.head.iter().map(|chunk| chunk.raw.len()).sum::<usize>()
            + self.blocks.iter().flat_map(|block| &block.chunks).map(|chunk| chunk.raw.len()).sum::<usize>();
        let new: usize = match value {
            // A quote takes four bytes when it is quoted itself.
            Value::Single(text) => text.len().saturating_mul(4).saturating_add(LINE),
            Value::List(list) => {
                list.iter().map(|text| text.len().saturating_mul(4).saturating_add(LINE)).sum()
            }
        };
        if old.saturating_add(new) > MAX_FILE {
            return Err(EditError::Full(format!("{} would grow beyond {MAX_FILE} bytes", self.file)));
        }
        Ok(())
    }

    fn chunks_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Chunk> {
        self.head.iter_mut().chain(self.blocks.iter_mut().flat_map(|block| &mut block.chunks))
    }

    fn push_chunk(&mut self, chunk: Chunk) {
        match self.blocks.last_mut() {
            Some(block) => block.chunks.push(chunk),
            None => self.head.push(chunk),
        }
    }

    /// Gives every statement of a shared line a line of its own.
    fn part_lines(&mut self) {
        if !self.shared_lines {
            return;
        }
        self.shared_lines = false;
        // The last line of the file may end without a line end and is no shared one then.
        for chunk in self.chunks_mut().rev().skip(1) {
            if chunk.stated.is_some() && !chunk.raw.ends_with(b"\n") {
                let style = Style::of(chunk);
                chunk.rewrite(&style);
            }
        }
    }

    /// Where the statements about an option are: block, chunk.
    fn places(&self, id: u32, option: &str) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (nth, block) in self.blocks.iter().enumerate().filter(|(_, block)| block.section == id) {
            let about = |chunk: &Chunk| {
                chunk.stated.as_ref().is_some_and(|stated| {
                    matches!(stated.verb, Verb::Option | Verb::List) && stated.name == option
                })
            };
            found.extend((0..block.chunks.len()).filter(|at| about(&block.chunks[*at])).map(|at| (nth, at)));
        }
        found
    }

    fn chunk(&mut self, place: (usize, usize)) -> &mut Chunk {
        &mut self.blocks[place.0].chunks[place.1]
    }

    fn stated(&self, place: (usize, usize)) -> &Stated {
        self.blocks[place.0].chunks[place.1].stated.as_ref().expect("places() gives statements only")
    }

    fn delete_places(&mut self, places: Vec<(usize, usize)>) {
        for (block, at) in places.into_iter().rev() {
            self.blocks[block].chunks.remove(at);
        }
    }

    fn insert_after(&mut self, (block, at): (usize, usize), lines: Vec<Line>, style: &Style) {
        let chunks = &mut self.blocks[block].chunks;
        chunks[at].close_line(style.eol);
        let new: Vec<_> = lines.into_iter().map(|line| line.written(style)).collect();
        chunks.splice(at + 1..at + 1, new);
    }

    /// Adds an option below the last one of its section.
    fn append(&mut self, id: u32, option: &str, value: &Value) {
        let has_option = |chunk: &&Chunk| {
            chunk.stated.as_ref().is_some_and(|stated| matches!(stated.verb, Verb::Option | Verb::List))
        };
        let mut own = self.blocks.iter().filter(|block| block.section == id).flat_map(|block| &block.chunks);
        let mut any = self.blocks.iter().flat_map(|block| &block.chunks);
        let model = own.rfind(has_option).or_else(|| any.rfind(has_option));
        let mut style = model.map_or_else(Style::indented, Style::of);
        let Some(block) = self.blocks.iter().rposition(|block| block.section == id) else { return };
        let chunks = &self.blocks[block].chunks;
        style.eol = Style::of(&chunks[0]).eol;
        let last = chunks.iter().rposition(|chunk| chunk.stated.is_some()).unwrap_or(0);
        self.insert_after((block, last), lines(option, value), &style);
    }

    /// Turns one list into another with as few changed lines as its order allows.
    fn change_list(&mut self, option: &str, places: &[(usize, usize)], old: &[String], new: &[String]) {
        let front = old.iter().zip(new).take_while(|(old, new)| old == new).count();
        let back =
            old[front..].iter().rev().zip(new[front..].iter().rev()).take_while(|(o, n)| o == n).count();
        let (from, to) = (&places[front..old.len() - back], &new[front..new.len() - back]);
        for (place, text) in from.iter().zip(to) {
            self.chunk(*place).set_value(text);
        }
        if to.len() > from.len() {
            let extra: Vec<_> = to[from.len()..].iter().map(|text| Line::list(option, text)).collect();
            // Below the last line that stays, or above the first.
            match (front + from.len()).checked_sub(1) {
                Some(before) => {
                    let style = Style::of(self.chunk(places[before]));
                    self.insert_after(places[before], extra, &style);
                }
                None => {
                    let (block, at) = places[0];
                    let style = Style::of(self.chunk(places[0]));
                    self.insert_after((block, at - 1), extra, &style);
                }
            }
        } else {
            self.delete_places(from[to.len()..].to_vec());
        }
    }

    /// Takes the options of a section from its statements again.
    fn reread(&mut self, id: u32) {
        let mut options = Vec::new();
        for stated in self
            .blocks
            .iter()
            .filter(|block| block.section == id)
            .flat_map(|block| block.chunks.iter().filter_map(|chunk| chunk.stated.as_ref()))
        {
            merge(&mut options, stated);
        }
        if let Some(section) = self.sections.iter_mut().find(|section| section.id == id) {
            section.options = options;
        }
    }

    fn rewrite_headers(&mut self, at: usize, change: impl Fn(&Stated) -> (String, String)) {
        self.part_lines();
        let id = self.sections[at].id;
        for block in self.blocks.iter_mut().filter(|block| block.section == id) {
            let header = &mut block.chunks[0];
            let style = Style::of(header);
            let Some((name, value)) = header.stated.as_ref().map(&change) else { continue };
            header.replace(Line { verb: Verb::Config, name: &name, value: &value }, &style);
        }
    }
}

fn lines<'a>(option: &'a str, value: &'a Value) -> Vec<Line<'a>> {
    match value {
        Value::Single(text) => vec![Line { verb: Verb::Option, name: option, value: text }],
        Value::List(list) => list.iter().map(|text| Line::list(option, text)).collect(),
    }
}

fn check_value(option: &str, value: &Value) -> Result<(), EditError> {
    let texts = match value {
        Value::Single(text) => std::slice::from_ref(text),
        Value::List(list) => list.as_slice(),
    };
    let bad = |why: String| Err(EditError::BadValue { option: option.into(), why });
    for text in texts {
        if text.len() > MAX_VALUE {
            return bad(format!("has {} bytes, more than {MAX_VALUE}", text.len()));
        }
        if !is_text(text.as_bytes()) {
            return bad("has a control character".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies `edit` to `before`, compares the file, and that it reads back as the document says.
    fn check(before: &str, edit: impl FnOnce(&mut Document), after: &str) {
        let mut document = Document::parse("test", before.as_bytes()).unwrap();
        edit(&mut document);
        let bytes = document.to_bytes();
        assert_eq!(String::from_utf8_lossy(&bytes), after, "{before:?}");
        let again = Document::parse("test", &bytes).unwrap();
        let shown = |document: &Document| -> Vec<_> {
            document
                .sections()
                .map(|s| (s.ty.clone(), s.index_in_type, s.name().map(str::to_string), s.options.clone()))
                .collect()
        };
        assert_eq!(shown(&again), shown(&document), "{before:?}");
    }

    fn set(value: impl Into<Value>) -> impl FnOnce(&mut Document) {
        move |document| assert!(document.set("@[0]", "a", &value.into()).unwrap())
    }

    #[test]
    fn a_value_keeps_its_line() {
        check("config x\n  option a '1' # c\n", set("2"), "config x\n  option a '2' # c\n");
        check("config x\n\toption\ta\t\"1\"\n", set("q\"\\"), "config x\n\toption\ta\t\"q\\\"\\\\\"\n");
        check("config x\n\toption a 1#c\n", set("2"), "config x\n\toption a 2#c\n");
        check("config x\n\toption a 1\n", set("2 #;"), "config x\n\toption a '2 #;'\n");
        check("config x\n\toption a '1'\n", set("it's"), "config x\n\toption a 'it'\\''s'\n");
        check("config x\r\n\toption a '1'\r\n", set("2"), "config x\r\n\toption a '2'\r\n");
        check("config x\no a '1\n2'\n#\n", set("3\n4"), "config x\no a '3\n4'\n#\n");
        check("config x\n\toption a 1", set("2"), "config x\n\toption a 2");
        check("config x\n\toption a 1\n\toption a 2\n", set("3"), "config x\n\toption a 1\n\toption a 3\n");
        check("config x\n\toption a 1;option b 2\n", set("x y"), "config x\n\toption a 'x y'\n");
        check("config x\n\toption a ''\n", set("1"), "config x\n\toption a '1'\n");
    }

    #[test]
    fn a_new_option_goes_below_the_last() {
        check("config x\n", set("1"), "config x\n\toption a '1'\n");
        check("config x", set("1"), "config x\n\toption a '1'\n");
        check("config x\r\n\r\n", set("1"), "config x\r\n\toption a '1'\r\n\r\n");
        check(
            "config x\n  option b \"1\"\n\n# y\nconfig y\n",
            set("2"),
            "config x\n  option b \"1\"\n  option a \"2\"\n\n# y\nconfig y\n",
        );
        check(
            "config x\n\nconfig y\n option b 1\n",
            set("2"),
            "config x\n option a 2\n\nconfig y\n option b 1\n",
        );
        check("config x\n\toption b c\\", set("2"), "config x\n\toption b c\n\toption a 2\n");
        check("config x\n\toption b c # d", set("2"), "config x\n\toption b c # d\n\toption a 2\n");
        check(
            "config x\n\toption b 1\n",
            set(["2", "3"]),
            "config x\n\toption b 1\n\tlist a 2\n\tlist a 3\n",
        );
        check(
            "config x z\n\toption b '1'\nconfig x z\n#\n",
            set("2"),
            "config x z\n\toption b '1'\nconfig x z\n\toption a '2'\n#\n",
        );
    }

    #[test]
    fn lists_change_where_they_differ() {
        let before =
            "config x\n\tlist a '1' # one\n\tlist a '2' # two\n\toption b ''\n\tlist a '3' # three\n";
        check(before, set(["1", "4", "3"]), &before.replace("'2'", "'4'"));
        check(before, set(["1", "3"]), &before.replace("\tlist a '2' # two\n", ""));
        check(before, set(["2", "3"]), &before.replace("\tlist a '1' # one\n", ""));
        check(before, set(["1", "2", "3", "4"]), &format!("{before}\tlist a '4'\n"));
        check(before, set(["0", "1", "2", "3"]), &before.replace("config x\n", "config x\n\tlist a '0'\n"));
        check(before, set(["1", "5", "2", "3"]), &before.replace("one\n", "one\n\tlist a '5'\n"));
        check(before, set("7"), "config x\n\toption a '7' # one\n\toption b ''\n");
        check(
            "config x\n\toption a '1' # c\n",
            set(["1", "2"]),
            "config x\n\tlist a '1' # c\n\tlist a '2'\n",
        );
        check(
            "config x\n\toption a 1\n\tlist a 2\n",
            set(["0", "1", "2"]),
            "config x\n\tlist a 0\n\tlist a 1\n\tlist a 2\n",
        );
    }

    #[test]
    fn shared_lines_are_parted_first() {
        let before = "config x 'n'; option b '1'; option c '2' # d\n# e\n";
        check(before, set("3"), "config x 'n'\n option b '1'\n option c '2' # d\n option a '3'\n# e\n");
        check("config x n ; option b '1'", set("3"), "config x n\n option b '1'\n option a '3'\n");
    }

    #[test]
    fn deletions_take_their_lines_only() {
        let before = "config x\n\toption a 1\n\t# c\n\tlist b 1\n\tlist b 2\n\n# d\nconfig y\n";
        let delete =
            |option: &'static str| move |d: &mut Document| assert!(d.delete_option("@[0]", option).unwrap());
        check(before, delete("a"), &before.replace("\toption a 1\n", ""));
        check(before, delete("b"), &before.replace("\tlist b 1\n\tlist b 2\n", ""));
        check(before, |d| assert!(!d.delete_option("@[0]", "c").unwrap()), before);
        check(
            before,
            |d| assert!(d.set("@[0]", "a", &"".into()).unwrap()),
            &before.replace("\toption a 1\n", ""),
        );
        check(before, |d| d.delete_section("@x[0]").unwrap(), "# d\nconfig y\n");
        check(before, |d| d.delete_section("@y[0]").unwrap(), &before.replace("config y\n", ""));
        check("config x n\nconfig y\nconfig x n\n", |d| d.delete_section("n").unwrap(), "config y\n");
    }

    #[test]
    fn sections() {
        let add = |name| move |d: &mut Document| drop(d.add_section("x", name).unwrap());
        check("", add(None), "config x\n");
        check("config y 'z'\n", add(Some("n")), "config y 'z'\n\nconfig x 'n'\n");
        check("config y z\n\toption a 1\n\n", add(Some("n")), "config y z\n\toption a 1\n\nconfig x n\n");
        check("config y # c", add(None), "config y # c\n\nconfig x\n");
        check(
            "config y\n",
            |d| {
                add(Some("n"))(d);
                d.delete_section("n").unwrap();
            },
            "config y\n",
        );
        check(
            "config y\n\nconfig y\n",
            |d| {
                let key = d.add_section("x", None).unwrap();
                assert_eq!(key, generated_name(3, "x"));
                d.set(&key, "a", &"1".into()).unwrap();
                d.delete_section("@y[0]").unwrap();
                assert_eq!(d.option(&key, "a"), Some(&"1".into()));
            },
            "config y\n\nconfig x\n\toption a '1'\n",
        );
        check("config y # c\n", |d| d.rename_section("@y[0]", "n").unwrap(), "config y 'n' # c\n");
        check("config y \"m\"\n", |d| d.rename_section("m", "n").unwrap(), "config y \"n\"\n");
        check("config y m\n", |d| d.set_type("m", "z#").unwrap(), "config 'z#' m\n");
        check("config y 'm'\n", |d| d.make_anonymous("m").unwrap(), "config y\n");
        check(
            "config y a\nconfig y b\n#\nconfig y c",
            |d| d.reorder("c", 1).unwrap(),
            "config y a\nconfig y c\nconfig y b\n#\n",
        );
        check("config y a\nconfig y b\n", |d| d.reorder("a", 9).unwrap(), "config y b\nconfig y a\n");
        let three = "config y a\n\toption x 1\n\nconfig y b\n\nconfig y c\n";
        for (section, follower, after) in [
            ("c", Some("a"), "config y c\n\nconfig y a\n\toption x 1\n\nconfig y b\n"),
            ("a", None, "config y b\n\nconfig y c\n\nconfig y a\n\toption x 1\n"),
            ("a", Some("c"), "config y b\n\nconfig y a\n\toption x 1\n\nconfig y c\n"),
            ("b", Some("nobody"), "config y a\n\toption x 1\n\nconfig y c\n\nconfig y b\n"),
            ("b", Some("c"), three),
        ] {
            check(three, |d| d.move_section(section, follower).unwrap(), after);
        }
        check(
            "config y a\nconfig y b\n",
            |d| d.move_section("b", Some("a")).unwrap(),
            "config y b\nconfig y a\n",
        );
        check(
            "config y\n\toption  b  '1' # c\n\tlist bb 2\n",
            |d| d.rename_option("@y[0]", "b", "ccc").unwrap(),
            "config y\n\toption  ccc  '1' # c\n\tlist bb 2\n",
        );
    }

    #[test]
    fn refusals_change_nothing() {
        let before = "config x n\n\toption a 1\n\toption b 2\n";
        let refused = |edit: &dyn Fn(&mut Document) -> Result<(), EditError>, why: &str| {
            check(before, |d| assert_eq!(edit(d).unwrap_err().to_string(), why), before);
        };
        let set = |section: &'static str, option: &'static str, value: Value| {
            move |d: &mut Document| d.set(section, option, &value).map(drop)
        };
        refused(&set("m", "a", "1".into()), "no section \"m\"");
        refused(&set("n", "a b", "1".into()), "\"a b\" is not a name: letters, digits and _ only");
        refused(&set("n", "", "1".into()), "\"\" is not a name: letters, digits and _ only");
        refused(&set("n", "a", "x\0y".into()), "the value of a has a control character");
        refused(&set("n", "a", ["x", "\u{1b}"].into()), "the value of a has a control character");
        refused(
            &set("n", "a", Value::Single("x".repeat(MAX_VALUE + 1))),
            "the value of a has 65537 bytes, more than 65536",
        );
        refused(
            &set("n", "a", Value::List(vec!["x".repeat(MAX_VALUE); 16])),
            "test would grow beyond 1048576 bytes",
        );
        refused(
            &|d| d.add_section("x y", None).map(drop),
            "\"x y\" is not a section type: printable characters only",
        );
        refused(&|d| d.add_section("x", Some("n")).map(drop), "\"n\" exists already");
        refused(
            &|d| d.add_section("x", Some("n-1")).map(drop),
            "\"n-1\" is not a name: letters, digits and _ only",
        );
        refused(&|d| d.rename_option("n", "a", "b"), "\"b\" exists already");
        refused(&|d| d.rename_option("n", "c", "d"), "no option \"c\" in section \"n\"");
        refused(&|d| d.delete_section("m"), "no section \"m\"");
    }
}
