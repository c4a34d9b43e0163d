//! The letters of `supervise/control` and `.s6-svscan/control`: what each of them asks for. Pure.

use crate::values::Signal;

/// What a letter asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deed {
    /// To be up.
    Up,
    /// To be down.
    Down,
    /// Not to be started again after this run.
    Once,
    /// This signal, to the process or to its group.
    Signal(Signal, Whom),
    /// The signal of `down-signal`, and what follows a death.
    Again,
    /// The signal of `reload-signal`.
    Reload,
    /// A file `down`, so that it is not started with the others.
    MarkDown,
    /// None.
    UnmarkDown,
    /// To be left by its supervisor, once it is down.
    Leave,
}

/// Who gets a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whom {
    /// The process.
    Process,
    /// Its whole group.
    Group,
}

/// What a letter of a service's control asks for, in order; a letter that is none asks for nothing.
pub(super) fn deeds(letter: u8) -> Vec<Deed> {
    let one = |deed| vec![deed];
    let signal = |number| Signal::new(number).map(|signal| Deed::Signal(signal, Whom::Process));
    let group = |signal| Deed::Signal(signal, Whom::Group);
    match letter {
        b'u' => one(Deed::Up),
        b'd' => one(Deed::Down),
        b'o' => vec![Deed::Up, Deed::Once],
        b'O' => one(Deed::Once),
        b'D' => vec![Deed::MarkDown, Deed::Down],
        b'U' => vec![Deed::UnmarkDown, Deed::Up],
        b'Q' => vec![Deed::MarkDown, Deed::Once],
        b'r' => one(Deed::Again),
        b'l' => one(Deed::Reload),
        b'x' => one(Deed::Leave),
        b'P' => one(group(Signal::STOP)),
        b'C' => one(group(Signal::CONT)),
        b'K' => one(group(Signal::KILL)),
        letter => {
            let number = match letter {
                b'a' => libc::SIGALRM,
                b'b' => libc::SIGABRT,
                b'q' => libc::SIGQUIT,
                b'h' => libc::SIGHUP,
                b'k' => libc::SIGKILL,
                b't' => libc::SIGTERM,
                b'i' => libc::SIGINT,
                b'1' => libc::SIGUSR1,
                b'2' => libc::SIGUSR2,
                b'p' => libc::SIGSTOP,
                b'c' => libc::SIGCONT,
                b'y' => libc::SIGWINCH,
                _unknown => return Vec::new(),
            };
            signal(number).into_iter().collect()
        }
    }
}

/// What a letter of the directory's own control asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// To look at the directory again. Services whose directory is gone go with it: here a look
    /// and what s6 calls pruning are one.
    Rescan,
    /// The end.
    End,
}

/// The order of a letter; `z` (collect the dead, which is PID 1's) and what is none ask for
/// nothing.
pub(super) fn order(letter: u8) -> Option<Order> {
    match letter {
        b'a' | b'h' | b'n' | b'N' => Some(Order::Rescan),
        b't' | b'q' | b'i' | b'b' => Some(Order::End),
        _nothing => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_of_s6_svc_means_something() {
        for letter in *b"abqhkti12pcyrloduDUxOQPCK" {
            assert!(!deeds(letter).is_empty(), "{}", char::from(letter));
        }
        for letter in *b"zZ\0\n\xff0" {
            assert!(deeds(letter).is_empty());
        }
        assert_eq!(deeds(b'o'), [Deed::Up, Deed::Once]);
        assert_eq!(order(b'z'), None);
        assert_eq!(order(b't'), Some(Order::End));
    }
}
