//! Packets: what is encoded decodes to the same, and nothing else makes a message or a panic.

use super::*;

fn some() -> Vec<Message<'static>> {
    vec![
        Message::Job { kind: "own", value: b"a\0b\n" },
        Message::Job { kind: "", value: b"" },
        Message::Log(Level::Debug, "text \u{e4}"),
        Message::Log(Level::Critical, ""),
        Message::Progress(Progress { done: 3, total: u64::MAX }),
        Message::Done,
        Message::Made(b"/a\xff\n"),
        Message::Failed("why"),
    ]
}

#[test]
fn what_is_said_is_understood() {
    for (task, message) in [0, 7, u64::MAX].into_iter().cycle().zip(some()) {
        let packet = message.encode(task).unwrap();
        assert_eq!(decode(&packet), Some((task, message)));
    }
}

#[test]
fn people_are_shown_a_bar() {
    let bar = |done, total| Progress { done, total }.bar();
    assert_eq!(bar(0, 3), format!("[{}]   0 %", " ".repeat(40)));
    assert_eq!(bar(1 << 62, 1 << 63), format!("[{}{}]  50 %", "#".repeat(20), " ".repeat(20)));
    assert_eq!((bar(3, 3), bar(u64::MAX, 3)), (format!("[{}] 100 %", "#".repeat(40)), bar(3, 3)));
    assert_eq!(bar(7, 0), "7 bytes");
}

#[test]
fn what_does_not_fit_is_refused_and_not_cut() {
    let room = MOST_BYTES - HEADER;
    let path = vec![b'x'; room + 1];
    assert_eq!(Message::Made(&path).encode(1), Err(Errno::EMSGSIZE));
    let packet = Message::Made(&path[..room]).encode(1).unwrap();
    assert_eq!((packet.len(), decode(&packet)), (MOST_BYTES, Some((1, Message::Made(&path[..room])))));
    assert_eq!(Message::Job { kind: "own", value: &path[..room - 3] }.encode(1), Err(Errno::EMSGSIZE));
}

#[test]
fn a_packet_that_is_cut_or_longer_than_it_says_is_none() {
    for message in some() {
        let mut packet = message.encode(7).unwrap();
        for length in 0..packet.len() {
            assert_eq!(decode(&packet[..length]), None, "{message:?} cut to {length}");
        }
        packet.push(0);
        assert_eq!(decode(&packet), None, "{message:?}");
    }
}

#[test]
fn a_text_of_two_lines_or_with_controls_is_no_text() {
    for text in ["a\nb", "\u{1b}[0m", "a\u{85}b"] {
        assert_eq!(decode(&Message::Failed(text).encode(1).unwrap()), None, "{text:?}");
        assert_eq!(decode(&Message::Log(Level::Info, text).encode(1).unwrap()), None, "{text:?}");
    }
}

/// Any bytes decode or do not; what decodes encodes to the same bytes again.
#[test]
fn any_bytes_are_a_message_or_nothing() {
    let mut understood = 0;
    for seed in 0..200_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut packet = match random.u8(..4) {
            0 => (0..random.usize(..64)).map(|_| random.u8(..)).collect(),
            _ => random.choice(some()).unwrap().encode(random.u64(..)).unwrap(),
        };
        for _ in 0..random.usize(..3) {
            match random.usize(..=packet.len()) {
                at if at < packet.len() => packet[at] = random.u8(..),
                _ => packet.push(random.u8(..)),
            }
        }
        if random.bool() && packet.len() >= 8 {
            let length = u32::try_from(packet.len()).unwrap();
            packet[4..8].copy_from_slice(&length.to_ne_bytes());
        }
        if let Some((task, message)) = decode(&packet) {
            assert_eq!(message.encode(task).as_deref(), Ok(&packet[..]), "seed {seed}");
            understood += 1;
        }
    }
    assert!(understood > 50_000, "{understood}");
}
