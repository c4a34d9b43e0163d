//! A service that is gone, and whose output is not read yet.

use std::fs::File;
use std::io::Write;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use pidone::logs::router::Router;
use pidone::os::clock;
use pidone::service::definition::Format;

use crate::LONG;
use crate::stage::{Reader, drive, pipe, rest, run, settings};
use crate::stdout_of;

/// Writes lines until neither the router nor the pipe takes any more; how many.
async fn fill(router: &mut Router, to: &mut File) -> usize {
    fcntl(&*to, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("it is a pipe");
    let mut lines = 0;
    loop {
        let before = lines;
        while to.write_all(format!("{lines:099}\n").as_bytes()).is_ok() {
            lines += 1;
        }
        rest(router).await;
        if lines == before {
            return lines;
        }
    }
}

#[test]
fn what_it_wrote_comes_out_before_its_pipes_are_closed() {
    let (out, lines) = run(async {
        let ((out, to_out), (err, to_err)) = (pipe(), pipe());
        let mut router = Router::new(to_out, to_err, settings(Format::Raw)).expect("a router");
        let (out, _err) = (Reader::held(out), Reader::new(err));
        let mut to = stdout_of(&mut router, 0, "loud", Format::Raw);
        let lines = fill(&mut router, &mut to).await;
        router.drain(0, clock::wall());
        router.retire(0);
        assert!(!router.sweep(), "it is not read to the end");
        assert_eq!(router.name(0), Some("loud"));
        // Another one has its name by now, and keeps it.
        drop(stdout_of(&mut router, 1, "loud", Format::Raw));
        out.go();
        let all = lines as u64;
        drive(&mut router, |router| router.count(0).lines == all).await;
        rest(&mut router).await;
        assert!(router.sweep() && !router.sweep());
        assert_eq!((router.name(0), router.name(1)), (None, Some("loud")));
        assert!(to.write_all(b"x").is_err());
        assert!(router.flush(LONG, clock::wall()).await);
        (out.finish(), lines)
    });
    let text = String::from_utf8(out).expect("it is text");
    let told = text.lines().enumerate();
    assert!(
        told.clone()
            .all(|(number, line)| line == format!("{number:099}"))
    );
    assert_eq!(told.count(), lines);
}
