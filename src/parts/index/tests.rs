//! The index against a naive model.

use super::*;

/// Few distinct hashes make long runs, which wrap around the table's end and cross each other.
#[test]
fn it_agrees_with_a_list() {
    for spread in [1, 3, 7, 64, 100_000] {
        let hash_of = |number: u32| (u64::from(number) * 2_654_435_761) % spread + 5;
        let mut random = fastrand::Rng::with_seed(spread);
        let (mut index, mut model) = (Index::default(), Vec::<u32>::new());
        for step in 0..4_000 {
            let number = random.u32(..200);
            match model.iter().position(|known| *known == number) {
                None if random.u32(..5) > 1 => {
                    index.insert(hash_of(number), number, hash_of);
                    model.push(number);
                }
                Some(at) if random.u32(..5) > 1 => {
                    index.remove(hash_of(number), number, hash_of);
                    model.swap_remove(at);
                }
                _ => index.remove(hash_of(number), 1_000, hash_of),
            }
            assert_eq!(index.len(), model.len());
            if step % 50 == 0 {
                for number in 0..200 {
                    let found = index.candidates(hash_of(number)).filter(|found| *found == number).count();
                    assert_eq!(found, usize::from(model.contains(&number)), "spread {spread}, step {step}");
                }
            }
        }
    }
}

#[test]
fn an_emptied_index_gives_its_memory_back() {
    let mut index = Index::default();
    (0..100).for_each(|n| index.insert(u64::from(n), n, u64::from));
    (0..100).for_each(|n| index.remove(u64::from(n), n, u64::from));
    assert_eq!((index.len(), index.slots.capacity()), (0, 0));
}
