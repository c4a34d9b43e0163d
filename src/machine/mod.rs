//! One service's life and the fleet of them: pure transitions. Knows no tokio, nix, file, socket or clock.
