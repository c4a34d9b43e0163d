//! How PID 1 is asked: the protocol, its server and its client.
