//! Somebody who is on Matrix and on a network with a login of their own speaks as themselves on both sides.

mod speak_for {
    mod slack;
    mod teams;

    /// Who has such a login.
    const ANN: &str = "@ann:localhost";
    const ROOM: &str = "#project:localhost";
}
