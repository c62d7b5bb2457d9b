//! A list that comes in pages, and has to come to an end.
//!
//! A server that forgets the token it was sent, or a link that leads back, would be asked for ever; and a list that is given
//! up in the middle must not be taken for the whole.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher as _};

/// Pages after which a list is taken for one without an end.
const MOST_PAGES: usize = 10_000;

/// Pages in a row that bring nothing new, after which there is nothing new to come. A filter of the server's own may leave a
/// few of them empty.
const MOST_STALE: usize = 10;

/// What is known of the pages that were read.
#[derive(Debug, Default)]
pub struct Pages {
    places: HashSet<u64>,
    items: HashSet<u64>,
    stale: usize,
}

/// A list that does not come to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Endless {
    #[error("the list does not come to an end: a page leads back to an earlier one")]
    Loop,
    #[error("the list does not come to an end: {MOST_STALE} pages in a row brought nothing new")]
    Stale,
    #[error("the list does not come to an end: it has more than {MOST_PAGES} pages")]
    Long,
}

impl Pages {
    /// Notes a page and where the next one is: a token, a number or an address. `items` are what tells its items apart.
    ///
    /// # Errors
    /// If there is no next page that could bring anything new.
    pub fn turn<Item: Hash>(
        &mut self,
        items: impl IntoIterator<Item = Item>,
        next: &(impl Hash + ?Sized),
    ) -> Result<(), Endless> {
        let new = items.into_iter().filter(|item| self.items.insert(hash(item))).count();
        self.stale = if new == 0 { self.stale + 1 } else { 0 };
        if !self.places.insert(hash(next)) {
            return Err(Endless::Loop);
        }
        if self.stale >= MOST_STALE {
            return Err(Endless::Stale);
        }
        if self.places.len() >= MOST_PAGES {
            return Err(Endless::Long);
        }
        Ok(())
    }
}

fn hash(item: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    item.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many pages are turned until the list is given up.
    fn turned(page: impl Fn(usize) -> (Vec<usize>, String)) -> (usize, Option<Endless>) {
        let mut pages = Pages::default();
        for number in 0..20_000 {
            let (items, next) = page(number);
            if let Err(endless) = pages.turn(items, &next) {
                return (number, Some(endless));
            }
        }
        (20_000, None)
    }

    #[test]
    fn a_list_without_an_end_is_given_up() {
        assert_eq!(turned(|_| (vec![1], "again".to_owned())), (1, Some(Endless::Loop)));
        assert_eq!(turned(|number| (vec![number], (number % 3).to_string())), (3, Some(Endless::Loop)));
        assert_eq!(turned(|number| (vec![1, 2], number.to_string())), (10, Some(Endless::Stale)));
        assert_eq!(turned(|number| (vec![number], number.to_string())), (9_999, Some(Endless::Long)));
        let sparse =
            |number: usize| (if number.is_multiple_of(9) { vec![number] } else { Vec::new() }, number.to_string());
        assert_eq!(turned(sparse), (9_999, Some(Endless::Long)));
    }
}
