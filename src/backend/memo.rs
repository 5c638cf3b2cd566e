//! What many values ask for and little changes: found out once, as long as the packages it comes from say what they do,
//! and for one session at most, as everything else is frozen that long.

use std::any::Any;
use std::collections::HashMap;
use std::rc::Rc;

use super::System;
use crate::model::Result;

/// What is known, by what it is called: the packages' revisions, and the list.
#[derive(Default)]
pub(super) struct Memo(HashMap<&'static str, Box<dyn Any>>);

impl Memo {
    /// A session begins.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

impl System {
    /// The list that `find` gives; `packages` are all of UCI that it looks at, staged changes included.
    ///
    /// # Errors
    /// As `find`; an error is not remembered.
    pub(super) fn once<T: 'static, const N: usize>(
        &mut self,
        what: &'static str,
        packages: [&str; N],
        find: impl FnOnce(&mut System) -> Result<Vec<T>>,
    ) -> Result<Rc<[T]>> {
        let revisions = packages.map(|package| self.revision(package));
        let known =
            self.memo.0.get(what).and_then(|known| known.downcast_ref::<([Option<u32>; N], Rc<[T]>)>());
        if let Some((of, list)) = known
            && *of == revisions
        {
            return Ok(Rc::clone(list));
        }
        let list: Rc<[T]> = find(self)?.into();
        self.memo.0.insert(what, Box::new((revisions, Rc::clone(&list))));
        Ok(list)
    }
}
