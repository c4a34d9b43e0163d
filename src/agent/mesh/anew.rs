//! What can change about a node while it is a member.

use crate::agent::mesh::node::Mesh;
use crate::agent::mesh::watches::Watches;
use crate::members::member::Announced;
use crate::members::words::Tags;
use crate::os::clock;

impl Mesh {
    /// Says these tags from now on; the services are announced next.
    ///
    /// # Errors
    /// It is more than a record holds.
    pub fn describe(&mut self, tags: &Tags, services: &[Announced]) -> Result<(), String> {
        let now = clock::now();
        self.gossip.describe(tags, services, now)?;
        self.settle(now);
        Ok(())
    }

    /// Holds a session to each member from now on, if it did not.
    pub fn begin_to_watch(&mut self) {
        if self.watches.is_none() {
            self.watches = Some(Watches::default());
            self.dial(clock::now());
        }
    }
}
