use super::*;
use std::collections::BTreeSet;

#[test]
fn they_are_as_in_a_set() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut any = || {
            let letters: [u8; 5] = [1, b'a', b'b', 0xfe, 0xff];
            let bytes = (0..random.usize(1..5)).map(|_| letters[random.usize(..letters.len())]);
            bytes.collect::<Vec<u8>>()
        };
        let (mut set, mut names) = (BTreeSet::new(), Names::default());
        assert!(names.is_empty() && names.last().is_none() && names.get(0).is_none());
        for name in (0..40).map(|_| any()) {
            if set.insert(name.clone()) {
                names.push(&name);
            }
        }
        let mut check = |set: &BTreeSet<Vec<u8>>, names: &Names| {
            assert!(names.iter().eq(set.iter()), "seed {seed}");
            assert!((0..=set.len()).all(|n| names.get(n) == set.iter().nth(n).map(|name| &name[..])));
            assert_eq!((names.last(), names.len()), (set.last().map(|name| &name[..]), set.len()));
            assert!(set.iter().all(|name| names.contains(name)));
            assert!((0..40).map(|_| any()).all(|name| names.contains(&name) == set.contains(&name)));
        };
        names.sort();
        check(&set, &names);
        let stays = |name: &[u8]| name.len() != 2;
        set.retain(|name| stays(name));
        names.retain(stays);
        check(&set, &names);
        set.pop_last();
        names.pop();
        check(&set, &names);
    }
}
