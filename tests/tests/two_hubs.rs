//! Two organisations, each with a homeserver and a hub of its own.

mod two_hubs {
    mod apart;
    mod joined;
}
