//! How fast the gossip goes, by its profile and the number of members.

use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use crate::agent::config::Profile;
use crate::agent::gossip::driver::DATAGRAM_BYTES_MAX;

/// From how many members on a suspicion lasts longer, because news take longer to come around.
const LARGE: f64 = 30.0;

/// So many others are asked whether they reach a member that does not answer, and as many are told
/// of news at once. Where one datagram in twenty is lost, a probe over three of them fails at six
/// of 10,000 tries, over five at two of 100,000: of 300 members one would be suspected each second,
/// and the news of it be most of the traffic.
const ASKED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4);

/// A probe each, answered within, suspected for.
pub(super) fn times(profile: Profile) -> (Duration, Duration, Duration) {
    let (period, rtt, suspicion) = match profile {
        Profile::Default => (200, 80, 400),
        Profile::Fast => (100, 40, 200),
    };
    let ms = Duration::from_millis;
    (ms(period), ms(rtt), ms(suspicion))
}

/// foca's settings in a cluster of so many members.
pub(super) fn settings(profile: Profile, members: usize) -> foca::Config {
    let (period, rtt, suspicion) = times(profile);
    let digits = u8::try_from(members.max(1).ilog2()).unwrap_or(u8::MAX);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a cluster is far below 2^52 members"
    )]
    let size = (members as f64).max(LARGE);
    let mut config = foca::Config::simple();
    config.probe_period = period;
    config.probe_rtt = rtt;
    config.suspect_to_down_after = suspicion.mul_f64(size.ln() / LARGE.ln());
    config.max_transmissions = NonZeroU8::MIN.saturating_add(5 + digits);
    config.num_indirect_probes = ASKED;
    config.max_packet_size = NonZeroUsize::MIN.saturating_add(DATAGRAM_BYTES_MAX - 1);
    // The directory forgets: foca's timers for it would be as many as there are deaths.
    config.remove_down_after = None;
    config.notify_down_members = true;
    config.periodic_announce = Some(foca::PeriodicParams {
        frequency: Duration::from_secs(15),
        num_members: NonZeroUsize::MIN,
    });
    config
}
