//! An order in which everything comes after what it needs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Orders `needs.len()` items so that each comes after all that it needs; otherwise they keep their order.
///
/// # Errors
/// With the items of one circle, each needing the next and the last needing the first.
pub fn topological(needs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut waiting: Vec<usize> = vec![0; needs.len()];
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
    for (item, needed) in needs.iter().enumerate() {
        for other in needed {
            waiting[item] += 1;
            needed_by[*other].push(item);
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..needs.len()).filter(|item| waiting[*item] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(Reverse(item)) = ready.pop() {
        order.push(item);
        for other in &needed_by[item] {
            waiting[*other] -= 1;
            if waiting[*other] == 0 {
                ready.push(Reverse(*other));
            }
        }
    }
    if order.len() == needs.len() {
        return Ok(order);
    }
    let Some(start) = (0..needs.len()).find(|item| waiting[*item] > 0) else { return Ok(order) };
    let mut path = vec![start];
    loop {
        let last = path[path.len() - 1];
        // An item that is still waiting needs another that is: so the walk never ends outside a circle.
        let Some(next) = needs[last].iter().copied().find(|other| waiting[*other] > 0) else { return Err(path) };
        if let Some(first) = path.iter().position(|item| *item == next) {
            return Err(path.split_off(first));
        }
        path.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_nothing_keeps_its_order() {
        assert_eq!(topological(&[vec![], vec![], vec![]]), Ok(vec![0, 1, 2]));
    }

    #[test]
    fn needs_come_first() {
        assert_eq!(topological(&[vec![2], vec![], vec![1]]), Ok(vec![1, 2, 0]));
    }

    #[test]
    fn a_circle_is_named() {
        assert_eq!(topological(&[vec![], vec![2, 0], vec![3], vec![1]]), Err(vec![1, 2, 3]));
        assert_eq!(topological(&[vec![0]]), Err(vec![0]));
    }
}
